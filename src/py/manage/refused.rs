//! What a failed call says, as in the original: two arguments, the second one with the code.

/// What was being done, and to what.
pub(super) type Words = (&'static str, &'static str);

pub(super) const GET_APPLICATION: Words = ("Error while getting the", "application");
pub(super) const SET_APPLICATION: Words = ("Error while updating the", "application");
pub(super) const DELETE_APPLICATION: Words = ("Error while deleting the", "application");
pub(super) const REGISTER_APPLICATION: Words = ("Error while registering the", "application");
pub(super) const REGISTER_DEVICE: Words = ("Error when updating the", "device");
pub(super) const GET_DEVICE: Words = ("Error while getting the", "device");
pub(super) const GET_DEVICES: Words = ("Error while getting the", "list of devices");
pub(super) const UPDATE_DEVICE: Words = ("Error while updating the", "device");
pub(super) const DELETE_DEVICE: Words = ("Error while deleting the", "device");
pub(super) const DRY_RUN: Words = ("Error while running the", "payload functions");
pub(super) const SIMULATE: Words = ("Error while simulating the", "uplink");
pub(super) const GET_PREFIXES: Words = ("Error while getting the", "address prefixes");
pub(super) const GET_ADDRESS: Words = ("Error while getting the", "device address");
pub(super) const GET_RIGHTS: Words = ("Error while getting the", "rights");
pub(super) const GET_QUEUE: Words = ("Error while getting the", "downlinks");
pub(super) const GET_EVENTS: Words = ("Error while getting the", "events");
pub(super) const GET_GATEWAYS: Words = ("Error while getting the", "gateways");
pub(super) const SET_QUEUE: Words = ("Error while queueing the", "downlink");
