//! What API keys permit (V3 3.7).

use std::collections::BTreeSet;

use crate::error::{Error, Result};

/// Rights on an application, with their numbers.
const RIGHTS: [(&str, i32); 17] = [
    ("RIGHT_APPLICATION_INFO", 15),
    ("RIGHT_APPLICATION_SETTINGS_BASIC", 16),
    ("RIGHT_APPLICATION_SETTINGS_API_KEYS", 17),
    ("RIGHT_APPLICATION_SETTINGS_COLLABORATORS", 18),
    ("RIGHT_APPLICATION_DELETE", 19),
    ("RIGHT_APPLICATION_DEVICES_READ", 20),
    ("RIGHT_APPLICATION_DEVICES_WRITE", 21),
    ("RIGHT_APPLICATION_DEVICES_READ_KEYS", 22),
    ("RIGHT_APPLICATION_DEVICES_WRITE_KEYS", 23),
    ("RIGHT_APPLICATION_TRAFFIC_READ", 24),
    ("RIGHT_APPLICATION_TRAFFIC_UP_WRITE", 25),
    ("RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE", 26),
    ("RIGHT_APPLICATION_LINK", 27),
    ("RIGHT_APPLICATION_ALL", 28),
    ("RIGHT_ALL", 55),
    ("RIGHT_APPLICATION_SETTINGS_PACKAGES", 56),
    ("RIGHT_APPLICATION_PURGE", 64),
];
/// The two that stand for all.
const EVERYTHING: [i32; 2] = [28, ALL];

/// Only newer releases know it.
const PURGE: i32 = 64;
/// What administrators do not have by being ones.
const NOT_UNIVERSAL: [i32; 4] = [SETTINGS_API_KEYS, DEVICES_READ_KEYS, DEVICES_WRITE_KEYS, EVERYTHING[0]];

/// On everything, not on applications alone.
pub(super) const ALL: i32 = 55;
pub(super) const INFO: i32 = 15;
pub(super) const SETTINGS_BASIC: i32 = 16;
pub(super) const SETTINGS_API_KEYS: i32 = 17;
pub(super) const DELETE: i32 = 19;
pub(super) const DEVICES_READ: i32 = 20;
pub(super) const DEVICES_WRITE: i32 = 21;
pub(super) const DEVICES_READ_KEYS: i32 = 22;
pub(super) const DEVICES_WRITE_KEYS: i32 = 23;
/// To receive.
pub(super) const TRAFFIC_READ: i32 = 24;
/// To make up uplinks.
pub(super) const TRAFFIC_UP_WRITE: i32 = 25;
/// To send downlinks.
pub(super) const TRAFFIC_DOWN_WRITE: i32 = 26;

/// The rights of a key on an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights(BTreeSet<i32>);

impl Rights {
    /// All.
    #[must_use]
    pub fn all() -> Self {
        Self(EVERYTHING.into())
    }

    /// Read the stack's names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown one, or none at all: such a key does not exist.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let rights = names
            .into_iter()
            .map(|name| {
                let found = RIGHTS.iter().find(|(known, _)| *known == name);
                found.map(|(_, number)| *number).ok_or_else(|| {
                    Error::invalid("right", name, "a right on applications, such as RIGHT_APPLICATION_TRAFFIC_READ")
                })
            })
            .collect::<Result<BTreeSet<_>>>()?;
        if rights.is_empty() {
            return Err(Error::invalid("rights", "", "at least one right"));
        }
        Ok(Self(rights))
    }

    /// Those of these numbers.
    pub(super) fn of(rights: impl IntoIterator<Item = i32>) -> Self {
        Self(rights.into_iter().collect())
    }

    /// As they were given.
    pub(super) fn numbers(&self) -> Vec<i32> {
        self.0.iter().copied().collect()
    }

    /// What administrators may do with every application.
    pub(super) fn universal() -> Vec<i32> {
        let all = Self::all().expanded();
        all.into_iter().filter(|right| !NOT_UNIVERSAL.contains(right)).collect()
    }

    /// All of them, with those that others stand for.
    pub(super) fn expanded(&self) -> Vec<i32> {
        if !EVERYTHING.iter().any(|all| self.0.contains(all)) {
            return self.0.iter().copied().collect();
        }
        RIGHTS.iter().map(|(_, number)| *number).filter(|number| *number != PURGE && *number != EVERYTHING[1]).collect()
    }

    /// The stack's name of a right.
    pub(super) fn name(right: i32) -> &'static str {
        RIGHTS.iter().find(|(_, number)| *number == right).map_or("", |(name, _)| name)
    }

    /// Whether this one is among them.
    pub(super) fn has(&self, right: i32) -> bool {
        self.0.contains(&right) || EVERYTHING.iter().any(|all| self.0.contains(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_everything_and_one_is_one() {
        let read = Rights::parse(["RIGHT_APPLICATION_TRAFFIC_READ"]).unwrap();
        assert!(read.has(TRAFFIC_READ) && !read.has(TRAFFIC_DOWN_WRITE));
        for all in ["RIGHT_ALL", "RIGHT_APPLICATION_ALL"] {
            assert!(Rights::parse([all]).unwrap().has(TRAFFIC_DOWN_WRITE));
        }
        assert!(Rights::parse(["messages:up:r"]).is_err() && Rights::parse([]).is_err());
    }
}
