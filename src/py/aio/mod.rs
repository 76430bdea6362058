//! The clients of `thingslink.aio`: what arrives is handed to the event loop's thread, where everything else happens.
//!
//! A client is the same as that of the sync face; only who takes deliveries out of its mailbox is another one. More in
//! `docs/dev/asyncio.md`.

mod client;
mod flow;
mod letter;
mod news;
mod sends;
mod stream;

pub(super) use self::client::PyAioClient;
pub(super) use self::letter::PyShare;
pub(super) use self::stream::PyInlet;
