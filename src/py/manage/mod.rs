//! The clients that manage applications and devices.

mod application;
mod calls;
mod devices;
mod dictionary;
mod discovery;
mod functions;
mod handler;
mod identity;
mod pages;
mod refused;
mod stub;

pub(super) use self::application::PyApplicationClient;
pub(super) use self::discovery::{Discovery, PyDiscoveryClient, pem};
pub(super) use self::handler::PyHandlerClient;
pub(super) use self::pages::PyDevicePages;
pub(super) use self::stub::{PyMethod, PyStub};
