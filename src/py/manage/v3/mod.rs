//! `ApplicationClient` on The Things Stack V3.

mod calls;
mod device;
mod dictionary;
mod downlink;
mod servers;

pub(super) use self::calls::{Calls, missing};
pub(in crate::py) use self::device::PyStackDevice;
pub(super) use self::downlink::{Manner, downlink, downlinks};
pub(super) use self::servers::{Place as At, announcement};
