//! Messages as JSON, as The Things Stack V3 writes and reads it (V3 2.4): for any message, by its description.

mod form;
mod read;
mod time;
mod write;

pub use self::read::{Unreadable, parse, read, set};
pub use self::write::{double, write};
