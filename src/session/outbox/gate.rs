//! What holds messages back that nobody has paid for.

use std::fmt::Debug;
use std::time::Duration;

/// Lets messages go out at the pace that a server allows. It is asked for those whose sender did not wait for that: what
/// goes out again after a loss, and what the client says by itself. Called under the outbox's lock.
pub trait Gate: Debug + Send + Sync {
    /// Pay for a message with so many values.
    ///
    /// # Errors
    /// How long to wait until it can be paid.
    fn pay(&self, topic: &str, points: usize) -> Result<(), Duration>;
}
