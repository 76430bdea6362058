//! The clients that manage applications and devices.

mod application;
mod calls;
mod chirpstack;
mod described;
mod devices;
mod dictionary;
mod discovery;
mod downlink;
mod functions;
mod given;
mod handler;
mod identity;
mod known;
mod listed;
mod pages;
mod queue;
mod refused;
mod reply_bound;
mod stub;
mod tasks;
mod v3;
mod way;

pub(super) use self::application::PyApplicationClient;
pub(super) use self::chirpstack::{PyChirpStackApplication, PyChirpStackDevice, PyDeviceEvents};
pub(super) use self::discovery::{Discovery, PyDiscoveryClient, pem};
pub(super) use self::handler::PyHandlerClient;
pub(super) use self::pages::{PyDevicePages, PyPages};
pub(super) use self::stub::{PyMethod, PyStub};
pub(super) use self::v3::{PyStackApplication, PyStackDevice};
