//! Base64 as the networks read it: as `encoding/base64.StdEncoding` of Go, in which they are written.

use std::borrow::Cow;

pub use ::base64::DecodeError;
use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

const STD_ENCODING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    // Padding bits that are not zero do not matter to it.
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The text of these bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STD_ENCODING.encode(bytes)
}

/// The bytes of a text; line ends anywhere in it are passed over.
///
/// # Errors
/// [`DecodeError`], with the place in the text without its line ends.
pub fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    const LINE_ENDS: [char; 2] = ['\r', '\n'];
    let text = if text.contains(LINE_ENDS) { Cow::Owned(text.replace(LINE_ENDS, "")) } else { Cow::Borrowed(text) };
    STD_ENCODING.decode(text.as_bytes())
}

/// How many bytes a text with padding stands for.
#[must_use]
pub fn decoded_len(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_go_reads_them() {
        for (text, bytes) in
            [("qg==", &[0xAA][..]), ("qg==\n", &[0xAA]), ("q\r\ng==", &[0xAA]), ("AR==", &[1]), ("", &[])]
        {
            assert_eq!(decode(text).unwrap(), bytes, "{text:?}");
        }
        for bad in ["qg", "qg=", "q g==", " qg==", "-_==", "qg==qg=="] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
    }
}
