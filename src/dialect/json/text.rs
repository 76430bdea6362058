//! Escapes in strings.

/// The bytes that an escaped string stands for. The scanner has checked it; lone surrogates become three bytes each.
pub(super) fn unescape(raw: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let Some(&escape) = rest.as_bytes().get(at + 1) else { return out };
        rest = &rest[at + 2..];
        match escape {
            b'u' => {
                let high = unit(rest);
                rest = &rest[4..];
                let mut code = u32::from(high);
                if (0xD800..0xDC00).contains(&high)
                    && let Some(tail) = rest.strip_prefix("\\u")
                {
                    let low = unit(tail);
                    if (0xDC00..0xE000).contains(&low) {
                        code = 0x1_0000 + ((u32::from(high) & 0x3FF) << 10) + (u32::from(low) & 0x3FF);
                        rest = &tail[4..];
                    }
                }
                push(&mut out, code);
            }
            b'b' => out.push(0x08),
            b'f' => out.push(0x0C),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn unit(text: &str) -> u16 {
    text.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()).unwrap_or(0xFFFD)
}

fn push(out: &mut Vec<u8>, code: u32) {
    if let Some(character) = char::from_u32(code) {
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        // A lone surrogate, in the three-byte form that Python calls surrogatepass.
        let [_, _, high, low] = code.to_be_bytes();
        out.extend([0xE0 | (high >> 4), 0x80 | ((high & 0x0F) << 2) | (low >> 6), 0x80 | (low & 0x3F)]);
    }
}
