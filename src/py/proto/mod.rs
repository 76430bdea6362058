//! Messages of the gRPC services as Python objects, in the manner of protobuf's own Python classes (V2 3.8).

mod classes;
mod descriptor;
mod map;
mod message;
mod place;
mod repeated;
mod shown;
mod value;

pub(super) use self::classes::*;
pub(super) use self::descriptor::{PyDescriptor, PyFieldDescriptor};
pub(super) use self::map::PyMap;
pub(super) use self::message::{PyMessage, parse_proto};
pub(super) use self::place::{Beside, Place};
pub(super) use self::repeated::PyRepeated;
pub(super) use self::shown::rows;
pub(super) use self::value::set_from_py;
