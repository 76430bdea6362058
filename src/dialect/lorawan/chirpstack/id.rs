//! Identifiers in their one form: UUIDs and `DevEUI`s (CS 2.1).

/// A UUID in any of the forms that the server reads, in the one that it writes.
#[must_use]
pub fn uuid(text: &str) -> Option<String> {
    let digits = match text.len() {
        32 => text.to_ascii_lowercase(),
        36 => {
            let parts: Vec<&str> = text.split('-').collect();
            if !parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) {
                return None;
            }
            parts.concat().to_ascii_lowercase()
        }
        _ => return None,
    };
    is_hex(&digits).then(|| [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"))
}

/// A `DevEUI`, with or without separators between its bytes, in the form that topics have.
#[must_use]
pub fn dev_eui(text: &str) -> Option<String> {
    let is_separated = |separator: char| {
        let bytes: Vec<&str> = text.split(separator).collect();
        (bytes.len() == 8 && bytes.iter().all(|byte| byte.len() == 2)).then(|| bytes.concat())
    };
    let digits = match text.len() {
        16 => text.to_owned(),
        23 => is_separated('-').or_else(|| is_separated(':'))?,
        _ => return None,
    };
    is_hex(&digits).then(|| digits.to_ascii_lowercase())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_one_form() {
        let expected = Some("c49fa6c7-3dc9-4053-b67b-3417d0872f0b".to_owned());
        for text in [
            "c49fa6c7-3dc9-4053-b67b-3417d0872f0b",
            "C49FA6C7-3DC9-4053-B67B-3417D0872F0B",
            "c49fa6c73dc94053b67b3417d0872f0b",
        ] {
            assert_eq!(uuid(text), expected, "{text}");
        }
        for other in ["", "greenhouse-7", "c49fa6c7-3dc9-4053-b67b-3417d0872f0", "g49fa6c73dc94053b67b3417d0872f0b"] {
            assert_eq!(uuid(other), None, "{other}");
        }
        assert_eq!(uuid("c49fa6c73dc9-4053-b67b-3417-d0872f0b"), None, "hyphens elsewhere");
        assert_eq!(uuid("ééééééééé49fa6c73dc94053b6"), None);
    }

    #[test]
    fn euis_have_one_form() {
        for text in ["70b3d57ed005f1a2", "70B3D57ED005F1A2", "70-B3-D5-7E-D0-05-F1-A2", "70:b3:d5:7e:d0:05:f1:a2"] {
            assert_eq!(dev_eui(text).as_deref(), Some("70b3d57ed005f1a2"), "{text}");
        }
        for other in ["", "soil_03", "70b3d57ed005f1a", "70b3d57ed005f1ag", "70-B3-D5-7E:D0-05-F1-A2", "éééééééé"]
        {
            assert_eq!(dev_eui(other), None, "{other}");
        }
    }
}
