//! The rights of an API key, by their names.

/// Those that have all others of an application in them.
const ALL: [&str; 2] = ["RIGHT_APPLICATION_ALL", "RIGHT_ALL"];

/// Whether a key with these rights has this one.
pub(in crate::client) fn grants(rights: &[String], right: &str) -> bool {
    rights.iter().any(|own| own == right || ALL.contains(&own.as_str()))
}
