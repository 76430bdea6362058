//! What inputs consist of.

/// How inputs are taken apart, and put together with lengths that are right.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Nothing but bytes.
    Bytes,
    /// Packets of MQTT.
    Packets,
    /// Fields of protobuf, maybe with messages in them.
    Fields,
}

/// What stands before the length, and what comes after it.
pub(super) type Part = (Vec<u8>, Vec<u8>);

impl Shape {
    /// The parts of an input; what cannot be taken apart is one without a head.
    pub(super) fn split(self, input: &[u8]) -> Vec<Part> {
        let (mut parts, mut rest) = (Vec::new(), input);
        while !rest.is_empty() {
            let Some((head, body, after)) = self.first(rest) else {
                parts.push((Vec::new(), rest.to_vec()));
                break;
            };
            parts.push((head.to_vec(), body.to_vec()));
            rest = after;
        }
        parts
    }

    /// Head and body of the first part, and what comes after it.
    fn first(self, input: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
        let head = match self {
            Self::Bytes => return None,
            Self::Packets => 1,
            Self::Fields => number(input)?.1,
        };
        let (start, end) = match (self, input[0] & 7) {
            (Self::Packets, _) | (_, 2) => {
                let (length, width) = number(input.get(head..)?)?;
                (head + width, head + width + length)
            }
            (_, 0) => (head, head + number(input.get(head..)?)?.1),
            (_, 1) => (head, head + 8),
            (_, 5) => (head, head + 4),
            _ => return None,
        };
        Some((&input[..head], input.get(start..end)?, &input[end..]))
    }

    /// Whether a body has parts itself.
    pub(super) fn is_nested(self, body: &[u8]) -> bool {
        matches!(self, Self::Fields) && self.split(body).iter().all(|(head, _)| !head.is_empty())
    }

    pub(super) fn join(self, parts: &[Part]) -> Vec<u8> {
        let mut whole = Vec::new();
        for (head, body) in parts {
            whole.extend_from_slice(head);
            let has_length = match self {
                Self::Bytes => false,
                Self::Packets => !head.is_empty(),
                Self::Fields => head.first().is_some_and(|first| first & 7 == 2),
            };
            if has_length {
                put_number(body.len(), &mut whole);
            }
            whole.extend_from_slice(body);
        }
        whole
    }
}

/// A number of up to four bytes with seven bits each, the lowest first, and how many bytes it takes.
fn number(bytes: &[u8]) -> Option<(usize, usize)> {
    let width = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)? + 1;
    let value = bytes[..width.min(4)].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
    Some((value, width))
}

fn put_number(mut number: usize, out: &mut Vec<u8>) {
    while number > 0x7F {
        out.push(0x80 | number.to_le_bytes()[0]);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_comes_together_again() {
        let packets = [&[0xC0, 0, 0x30, 0x82, 1][..], &[b'x'; 130], &[0x40, 2, 0]].concat();
        assert_eq!(Shape::Packets.split(&packets).len(), 3);
        assert_eq!(Shape::Packets.join(&Shape::Packets.split(&packets)), packets);
        let fields = [&[0x0A, 2, 0x08, 0x96, 0x9A, 6, 1, b'n', 0x10, 1, 0x1D, 1, 2, 3, 4, 0x0F][..]].concat();
        assert_eq!(Shape::Fields.split(&fields).len(), 5);
        assert_eq!(Shape::Fields.join(&Shape::Fields.split(&fields)), fields);
    }
}
