//! `ApplicationClient` on ChirpStack.

mod calls;
mod dictionary;
mod event;
mod messages;
mod place;
mod server;

pub(super) use self::calls::Calls;
pub(in crate::py) use self::event::PyDeviceEvents;
pub(in crate::py) use self::messages::{PyChirpStackApplication, PyChirpStackDevice};
pub(super) use self::place::Configured;
pub(super) use self::server::At;
