//! What the network has told of downlinks last, and when.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::State;

/// Bytes of an error's text that are kept; no network writes as many.
const MOST_ERROR: usize = 4096;
/// Bytes of a downlink's correlation IDs that are kept: The Things Stack V3 writes some 300.
const MOST_IDS: usize = 2048;

/// What was told of one downlink last.
#[derive(Clone, Debug)]
pub(super) struct Told {
    heard: SystemTime,
    /// Of whom, where that was told as well.
    dev_id: Option<Box<str>>,
    error: Option<Box<str>>,
    correlation_ids: Box<[Box<str>]>,
}

impl Told {
    /// Told just now. What is beyond its bound of the error's end and of the last IDs is not kept.
    pub(super) fn new<I: AsRef<str>>(
        dev_id: Option<&str>,
        error: Option<&str>,
        correlation_ids: impl IntoIterator<Item = I>,
    ) -> Self {
        let mut left = MOST_IDS;
        let fits = |id: &I| {
            let length = id.as_ref().len();
            length <= left && {
                left -= length;
                true
            }
        };
        let correlation_ids = correlation_ids.into_iter().take_while(fits).map(|id| id.as_ref().into()).collect();
        let error = error.map(|error| {
            let end = (0..=MOST_ERROR).rev().find(|end| error.is_char_boundary(*end));
            error[..end.unwrap_or(0)].into()
        });
        Self { heard: SystemTime::now(), dev_id: dev_id.map(Into::into), error, correlation_ids }
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

/// By the serials of downlinks.
pub(super) type Telling = BTreeMap<u32, Told>;

/// What has become of a downlink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state that it is in.
    pub state: State,
    /// Why it has failed, or what may be behind the network's silence.
    pub error: Option<String>,
    /// Its device, as the network has told it.
    pub dev_id: Option<String>,
    /// When that became known; `None` of what the network has not said a word of.
    pub heard: Option<SystemTime>,
    /// What the network has repeated last.
    pub correlation_ids: Vec<String>,
}

impl Outcome {
    pub(super) fn new(state: State, told: Option<&Told>) -> Self {
        Self {
            state,
            error: told.filter(|_| state.has_error()).and_then(Told::error).map(str::to_owned),
            dev_id: told.and_then(|told| told.dev_id.as_deref()).map(str::to_owned),
            heard: told.map(|told| told.heard),
            correlation_ids: told
                .map_or_else(Vec::new, |told| told.correlation_ids.iter().map(ToString::to_string).collect()),
        }
    }
}
