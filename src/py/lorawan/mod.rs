//! The clients of LoRaWAN networks as Python sees them.

mod acknowledge;
mod address;
mod callbacks;
mod chirpstack;
mod client;
mod convert;
mod deliver;
mod device;
mod downlink;
mod event;
mod given;
mod handlers;
mod made;
mod management;
mod message;
mod options;
mod parse;
mod private;
mod setters;
mod settings;
mod shown;
mod subject;
mod watch;

pub(super) use self::address::Address;
pub(super) use self::chirpstack::{api_endpoint, tenant};
pub(super) use self::client::PyMqttClient;
pub(super) use self::convert::{downlink, event_name, field_path, fport, optional_device};
pub(super) use self::device::PyDeviceHandle;
pub(super) use self::downlink::{PyDownlinkHandle, PyDownlinkOutcome, Sender};
pub(super) use self::event::{PyActivationEvent, PyDeviceEvent, PyDownlinkEvent, PyFieldValue, PyRegistrationEvent};
pub(super) use self::given::PyMqttGiven;
pub(super) use self::management::management;
pub(super) use self::message::PyUplinkMessage;
pub(super) use self::options::Asked;
pub(super) use self::parse::{document_to_py, field_to_py, parse_message};
pub(super) use self::subject::Subject;
