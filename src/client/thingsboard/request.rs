//! Requests that wait for their answers.

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

/// A request was not answered in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired(pub Request);
