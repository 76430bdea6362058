//! Requests that wait for their answers.

use crate::dialect::thingsboard::PublishCode;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// For attributes, by its number.
    Attributes(u64),
    /// A call to the server, by its number.
    Call(u64),
    /// For a piece of a package; there is one at a time.
    Piece,
}

/// A request will not be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Which one.
    pub request: Request,
    /// Why it was not sent; `None` when it was, and its time is over.
    pub unsent: Option<PublishCode>,
}
