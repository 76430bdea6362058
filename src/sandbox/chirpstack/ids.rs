//! Identifiers and keys, as texts (CS 2.1), and what the server says of those that it cannot read.

use std::fmt::Write as _;

/// The canonical form of a UUID.
///
/// # Errors
/// The server's words.
pub(super) fn uuid(text: &str) -> Result<String, String> {
    if let Some((at, letter)) = text.char_indices().find(|(_, letter)| !letter.is_ascii_hexdigit() && *letter != '-') {
        return Err(format!("invalid character: found `{letter}` at {at}"));
    }
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_lowercase()).collect();
    let hyphens: Vec<_> = text.match_indices('-').map(|(at, _)| at).collect();
    if digits.len() != 32 || !(hyphens.is_empty() || hyphens == [8, 13, 18, 23]) {
        return Err(format!("invalid length: found {}", text.len()));
    }
    Ok(hyphenated(&digits))
}

fn hyphenated(digits: &str) -> String {
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// A new UUID of random bits.
pub(super) fn new_uuid(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..) & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    hyphenated(&format!("{bits:032x}"))
}

/// Hexadecimal text of so many bytes in lower case; an empty one is read as zeros.
///
/// # Errors
/// The server's words.
pub(super) fn hexadecimal<const LENGTH: usize>(text: &str) -> Result<String, String> {
    let mut bytes = [0; LENGTH];
    if !text.is_empty() {
        hex::decode_to_slice(text, &mut bytes).map_err(|error| error.to_string())?;
    }
    Ok(bytes.iter().fold(String::with_capacity(2 * LENGTH), |mut text, byte| {
        // Writing to a text cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    }))
}

/// A DevEUI, JoinEUI or gateway ID.
///
/// # Errors
/// The server's words.
pub(super) fn eui(text: &str) -> Result<String, String> {
    hexadecimal::<8>(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_in_the_servers_words() {
        let canonical = "3f2a1c9e-0d4b-4c5e-9f60-718293a4b5c7";
        for given in [canonical, "3F2A1C9E0D4B4C5E9F60718293A4B5C7", "3F2A1C9E-0D4B-4C5E-9F60-718293A4B5C7"] {
            assert_eq!(uuid(given).as_deref(), Ok(canonical));
        }
        assert_eq!(uuid("greenhouse-7").unwrap_err(), "invalid character: found `g` at 0");
        assert_eq!(uuid("").unwrap_err(), "invalid length: found 0");
        assert_eq!(eui("70B3D57ED005F1A2").as_deref(), Ok("70b3d57ed005f1a2"));
        assert_eq!(eui("").as_deref(), Ok("0000000000000000"));
        for (given, words) in [
            ("xyz", "Odd number of digits"),
            ("70b3", "Invalid string length"),
            ("70-B3-D5-7E-D0-05-F1-A2", "Odd number of digits"),
        ] {
            assert_eq!(eui(given).unwrap_err(), words);
        }
        let zs = "z".repeat(32);
        assert_eq!(hexadecimal::<16>(&zs).unwrap_err(), "Invalid character 'z' at position 0");
    }

    #[test]
    fn new_uuids_say_that_they_are_random() {
        let made = new_uuid(&mut fastrand::Rng::with_seed(1));
        assert_eq!((uuid(&made).as_ref(), made.as_bytes()[14]), (Ok(&made), b'4'));
        assert!(b"89ab".contains(&made.as_bytes()[19]));
    }
}
