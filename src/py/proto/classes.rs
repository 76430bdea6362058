//! The classes of the messages that users hold.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::descriptor::PyDescription;
use super::message::PyMessage;
use super::place::Place;
use crate::rpc::message::field_numbers;

macro_rules! message_classes {
    ($($(#[doc = $doc:expr])* $class:ident = $name:literal, $full_name:literal;)*) => {
        $(
            $(#[doc = $doc])*
            #[pyclass(frozen, extends = PyMessage, name = $name, module = "thingslink.ttn")]
            pub(in crate::py) struct $class;

            #[pymethods(crate = "crate::py::named")]
            impl $class {
                #[new]
                #[pyo3(signature = (**fields))]
                fn new(fields: Option<&Bound<'_, PyDict>>) -> PyResult<PyClassInitializer<Self>> {
                    Ok(PyClassInitializer::from(PyMessage::with($full_name, fields)?).add_subclass(Self))
                }
            }
        )*

        /// A message as an object of its class.
        pub(in crate::py) fn wrap(py: Python<'_>, place: Place) -> PyResult<Bound<'_, PyAny>> {
            match place.descriptor().full_name() {
                $($full_name => {
                    let message = PyClassInitializer::from(PyMessage::at(place)).add_subclass($class);
                    Ok(Bound::new(py, message)?.into_any())
                })*
                // Requests: only those see them who put a stub of their own in a client's place.
                _ => Ok(Bound::new(py, PyMessage::at(place))?.into_any()),
            }
        }

        /// Give the classes what protobuf's have: `DESCRIPTOR` and the fields' numbers.
        pub(in crate::py) fn complete(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $({
                let class = module.py().get_type::<$class>();
                for (name, number) in field_numbers($full_name) {
                    class.setattr(format!("{}_FIELD_NUMBER", name.to_uppercase()), number)?;
                }
                class.setattr("DESCRIPTOR", PyDescription::of($full_name))?;
            })*
            Ok(())
        }
    };
}

message_classes! {
    #[doc = stub!("Application")]
    PyApplication = "Application", "handler.Application";
    #[doc = stub!("Device")]
    PyDevice = "Device", "handler.Device";
    #[doc = stub!("LorawanDevice")]
    PyLorawanDevice = "LorawanDevice", "lorawan.Device";
    #[doc = stub!("Announcement")]
    PyAnnouncement = "Announcement", "discovery.Announcement";
    #[doc = stub!("ServiceMetadata")]
    PyServiceMetadata = "ServiceMetadata", "discovery.Metadata";
    #[doc = stub!("DryUplinkResult")]
    PyDryUplinkResult = "DryUplinkResult", "handler.DryUplinkResult";
    /// What the payload functions make of a downlink.
    PyDryDownlinkResult = "DryDownlinkResult", "handler.DryDownlinkResult";
    #[doc = stub!("LogEntry")]
    PyLogEntry = "LogEntry", "handler.LogEntry";
    #[doc = stub!("PrefixMapping")]
    PyPrefixMapping = "PrefixMapping", "lorawan.PrefixesResponse.PrefixMapping";
    /// A message without content.
    PyEmpty = "Empty", "google.protobuf.Empty";
}
