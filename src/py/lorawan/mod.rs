//! The clients of LoRaWAN networks as Python sees them.

mod acknowledge;
mod address;
mod callbacks;
mod client;
mod convert;
mod deliver;
mod device;
mod event;
mod handlers;
mod made;
mod message;
mod parse;
mod private;
mod setters;
mod watch;

pub(super) use self::client::PyMqttClient;
pub(super) use self::device::PyDeviceHandle;
pub(super) use self::event::{PyActivationEvent, PyDeviceEvent, PyDownlinkEvent, PyFieldValue, PyRegistrationEvent};
pub(super) use self::message::PyUplinkMessage;
pub(super) use self::parse::parse_message;
