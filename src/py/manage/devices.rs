//! The methods of `ApplicationClient` for devices.

use std::time::Duration;

use prost_reflect::Value;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::application::PyApplicationClient;
use super::calls::Calls;
use super::dictionary;
use super::pages::{PyDevicePages, PyPages};
use super::refused::{DELETE_DEVICE, GET_ADDRESS, GET_DEVICE, GET_PREFIXES, REGISTER_DEVICE, SIMULATE, UPDATE_DEVICE};
use super::stub::{deadline, message};
use super::way::Way;
use crate::dialect::lorawan::Network;
use crate::error::Result;
use crate::ids::DevId;
use crate::py::arguments::{Aliases, Given, text, wrong_type};
use crate::py::convert::{exact_bytes, frame_bytes};
use crate::py::error::OrRaise as _;
use crate::py::leaving;
use crate::py::number;
use crate::py::prepared::Prepared;
use crate::py::proto::{Place, wrap};

/// What DeleteDevice is given, as in the original.
const DELETE: Duration = Duration::from_secs(60);

impl Way {
    /// The ID of a device, as its network has it.
    fn named(&self, dev_id: String) -> Result<DevId> {
        match self.network() {
            Network::ChirpStack => Network::ChirpStack.dev_id(dev_id),
            // What V3 has against one it says itself, in its own words.
            Network::V2 | Network::V3 => DevId::new(dev_id),
        }
    }

    fn device_id(&self, py: Python<'_>, dev_id: &Bound<'_, PyAny>) -> PyResult<DevId> {
        self.named(text("dev_id", dev_id)?).or_raise(py)
    }
}

impl Calls {
    /// A random device address for a usage.
    fn dev_addr(&self, py: Python<'_>, usage: Vec<String>, timeout: Option<Duration>) -> PyResult<Prepared<Vec<u8>>> {
        let mut request = message("lorawan.DevAddrRequest", &[]);
        request.set_field_by_name("usage", Value::List(usage.into_iter().map(Value::String).collect()));
        self.read(py, GET_ADDRESS, "GetDevAddr", request, timeout)?.map(py, |_, answer| {
            let address = answer.get_field_by_name("dev_addr");
            Ok(address.and_then(|address| address.as_bytes().map(|bytes| bytes.to_vec())).unwrap_or_default())
        })
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyApplicationClient {
    #[doc = stub!("ApplicationClient.device")]
    #[pyo3(
        signature = (dev_id=Given(None), *, timeout=None, **aliases),
        text_signature = "($self, dev_id, *, timeout=None, **aliases)"
    )]
    fn device<'py>(
        &self,
        py: Python<'py>,
        dev_id: Given<'py>,
        timeout: Option<Bound<'py, PyAny>>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut aliases = Aliases::new("device", aliases);
        let dev_id = aliases.require("dev_id", dev_id, &["devID"])?;
        let dev_id = dev_id.judged(self.way.named(dev_id.text()?))?;
        aliases.finish()?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let device = match &self.way {
            Way::V2(calls) => calls.ask(py, GET_DEVICE, "GetDevice", calls.device_request(&dev_id), timeout)?,
            Way::V3(calls) => calls.device(py, dev_id.as_str(), timeout)?,
            Way::ChirpStack(calls) => calls.device(py, dev_id.as_str(), timeout)?,
        };
        self.face.give(py, device)
    }

    #[doc = stub!("ApplicationClient.devices")]
    #[pyo3(signature = (*, limit=None, offset=None, complete=false, timeout=None))]
    fn devices<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number::limit)] limit: Option<u64>,
        #[pyo3(from_py_with = number::offset)] offset: Option<u64>,
        complete: bool,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        self.face.give(py, self.way.page(py, limit, offset, complete, timeout)?)
    }

    /// Iterate over the pages of the list of devices: lists, whose ``total`` tells how far it is.
    #[pyo3(signature = (*, page_size=100, complete=false, timeout=None))]
    fn devices_pages(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = number::page_size)] page_size: u64,
        complete: bool,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyPages> {
        Calls::timeout(py, timeout.as_ref())?;
        Ok(PyPages::new(self.way.clone(), page_size, complete, timeout.map(Bound::unbind)))
    }

    /// Iterate over the devices, asking the handler for one page after the other.
    #[pyo3(signature = (*, page_size=1000, timeout=None))]
    fn iter_devices(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = number::page_size)] page_size: u64,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyDevicePages> {
        Calls::timeout(py, timeout.as_ref())?;
        Ok(PyDevicePages::new(self.way.clone(), page_size, timeout.map(Bound::unbind)))
    }

    #[doc = stub!("ApplicationClient.register_device")]
    #[pyo3(signature = (dev_id, device, *, timeout=None))]
    fn register_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        device: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = self.way.device_id(py, dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let registered = match &self.way {
            Way::V2(calls) => {
                let mut request = message("handler.Device", &[]);
                dictionary::merge(&mut request, "device", device)?;
                calls.identify(&mut request, &dev_id);
                calls.ask(py, REGISTER_DEVICE, "SetDevice", request, timeout)?
            }
            Way::V3(calls) => calls.register_device(py, dev_id.as_str(), device, timeout)?,
            Way::ChirpStack(calls) => calls.register_device(py, dev_id.as_str(), device, timeout)?,
        };
        self.face.give(py, registered)
    }

    #[doc = stub!("ApplicationClient.check_device")]
    fn check_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        device: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = self.way.device_id(py, dev_id)?;
        match &self.way {
            Way::V2(_) => drop(dictionary::merge(&mut message("handler.Device", &[]), "device", device)?),
            Way::V3(calls) => calls.check_device(py, dev_id.as_str(), device)?,
            Way::ChirpStack(calls) => calls.check_device(py, dev_id.as_str(), device)?,
        }
        self.face.give(py, Prepared::Ready(py.None()))
    }

    #[doc = stub!("ApplicationClient.update_device")]
    #[pyo3(signature = (dev_id, updates, *, timeout=None))]
    fn update_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        updates: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = self.way.device_id(py, dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let calls = match &self.way {
            Way::V2(calls) => calls.clone(),
            Way::V3(calls) => {
                return self.face.give(py, calls.update_device(py, dev_id.as_str(), updates, timeout)?);
            }
            Way::ChirpStack(calls) => {
                return self.face.give(py, calls.update_device(py, dev_id.as_str(), updates, timeout)?);
            }
        };
        // Checked before anything is asked.
        dictionary::merge(&mut message("handler.Device", &[]), "updates", updates)?;
        let updates = updates.clone().unbind();
        let read = calls.read_device(py, &dev_id, timeout)?;
        let written = read.then(py, move |py, mut device| {
            dictionary::merge(&mut device, "updates", updates.bind(py))?;
            calls.identify(&mut device, &dev_id);
            calls.ask(py, UPDATE_DEVICE, "SetDevice", device, timeout)
        })?;
        self.face.give(py, written)
    }

    /// Delete a device.
    #[pyo3(signature = (dev_id, *, timeout=None))]
    fn delete_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = self.way.device_id(py, dev_id)?;
        let timeout = if timeout.is_some() { deadline(timeout.as_ref())? } else { Some(DELETE) };
        let deleted = match &self.way {
            Way::V2(calls) => calls.ask(py, DELETE_DEVICE, "DeleteDevice", calls.device_request(&dev_id), timeout)?,
            Way::V3(calls) => calls.delete_device(py, dev_id.as_str(), timeout)?,
            Way::ChirpStack(calls) => calls.delete_device(py, dev_id.as_str(), timeout)?,
        };
        self.face.give(py, deleted)
    }

    #[doc = stub!("ApplicationClient.personalize")]
    #[pyo3(signature = (dev_id, *, nwk_s_key=None, app_s_key=None, usage=None, timeout=None))]
    fn personalize<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        nwk_s_key: Option<Bound<'py, PyAny>>,
        app_s_key: Option<Bound<'py, PyAny>>,
        usage: Option<Vec<String>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = self.way.device_id(py, dev_id)?;
        let random = || leaving::within(py, || py.import("os")?.call_method1("urandom", (16,)))?.extract::<Vec<u8>>();
        let key = |name: &str, given: Option<Bound<'py, PyAny>>| {
            given.map_or_else(random, |given| exact_bytes(name, &given, 16))
        };
        let (network, application) = (key("nwk_s_key", nwk_s_key)?, key("app_s_key", app_s_key)?);
        let usage = usage.unwrap_or_else(|| vec!["abp".to_owned()]);
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let calls = match &self.way {
            Way::V2(calls) => calls.clone(),
            Way::V3(calls) => {
                let keys = (network, application);
                return self.face.give(py, calls.personalize(py, dev_id.as_str(), keys, timeout)?);
            }
            Way::ChirpStack(calls) => {
                let keys = (network, application);
                return self.face.give(py, calls.personalize(py, dev_id.as_str(), keys, timeout)?);
            }
        };
        let read = calls.read_device(py, &dev_id, timeout)?;
        let made = read.then(py, move |py, mut device| {
            calls.dev_addr(py, usage, timeout)?.then(py, move |py, address| {
                let lorawan = dictionary::lorawan_part(&mut device);
                for (name, bytes) in [("dev_addr", address), ("nwk_s_key", network), ("app_s_key", application)] {
                    lorawan.set_field_by_name(name, Value::Bytes(bytes.into()));
                }
                lorawan.clear_field_by_name("app_key");
                lorawan.clear_field_by_name("f_cnt_up");
                lorawan.clear_field_by_name("f_cnt_down");
                calls.identify(&mut device, &dev_id);
                let written = calls.call(py, UPDATE_DEVICE, "SetDevice", device.clone(), timeout)?;
                written.map(py, move |py, _| wrap(py, Place::new(device)).map(Bound::unbind))
            })
        })?;
        self.face.give(py, made)
    }

    #[doc = stub!("ApplicationClient.move_device")]
    #[pyo3(signature = (dev_id, to, *, timeout=None))]
    fn move_device<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        to: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let target = &to.cast::<Self>().map_err(|_| wrong_type("to", "an ApplicationClient", to))?.get().way;
        let app_id = |way: &Way| way.identity().lock().app_id.clone();
        if app_id(target) == app_id(&self.way) && target.address() == self.way.address() {
            return Err(PyValueError::new_err("to is not valid: expected the client of another application"));
        }
        let dev_id = self.way.device_id(py, dev_id)?;
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let (calls, target) = match (&self.way, target) {
            (Way::V2(calls), Way::V2(target)) => (calls.clone(), target.clone()),
            (Way::V3(calls), Way::V3(target)) => {
                return self.face.give(py, calls.move_device(py, dev_id.as_str(), target, timeout)?);
            }
            (Way::ChirpStack(calls), Way::ChirpStack(target)) if calls.address == target.address => {
                return self.face.give(py, calls.move_device(py, dev_id.as_str(), target, timeout)?);
            }
            (Way::ChirpStack(_), Way::ChirpStack(_)) => {
                return Err(PyValueError::new_err("to is not valid: expected a client of the same ChirpStack"));
            }
            _ => {
                return Err(PyValueError::new_err("to is not valid: expected a client of the same network"));
            }
        };
        let moved = calls.read_device(py, &dev_id, timeout)?.then(py, move |py, device| {
            let mut moved = device.clone();
            target.identify(&mut moved, &dev_id);
            // In this order: the network allows each pair of EUIs only once.
            let deleted = calls.tell(py, DELETE_DEVICE, "DeleteDevice", calls.device_request(&dev_id), Some(DELETE))?;
            deleted.then(py, move |py, _| {
                let written = target.tell(py, REGISTER_DEVICE, "SetDevice", moved, timeout);
                Prepared::settle(py, written, move |py, outcome| {
                    let Err(error) = outcome else { return Ok(Prepared::Ready(py.None())) };
                    let put_back = calls.tell(py, REGISTER_DEVICE, "SetDevice", device, timeout);
                    Prepared::settle(py, put_back, move |py, outcome| {
                        let Err(lost) = outcome else { return Err(error) };
                        lost.set_cause(py, Some(error));
                        Err(lost)
                    })
                })
            })
        })?;
        self.face.give(py, moved)
    }

    /// Have the network handle a payload as if a device had sent it.
    #[pyo3(signature = (dev_id, payload, port=1, *, timeout=None))]
    fn simulate_uplink<'py>(
        &self,
        py: Python<'py>,
        dev_id: &Bound<'py, PyAny>,
        payload: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = number::frame_port)] port: u32,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dev_id = self.way.device_id(py, dev_id)?;
        let (payload, port) = (frame_bytes("payload", payload)?, port);
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let told = match &self.way {
            Way::V2(calls) => {
                let app_id = calls.identity().app_id;
                let ids = [("app_id", app_id.as_str()), ("dev_id", dev_id.as_str())];
                let mut request = message("handler.SimulatedUplinkMessage", &ids);
                request.set_field_by_name("payload", Value::Bytes(payload.into()));
                request.set_field_by_name("port", Value::U32(port));
                calls.tell(py, SIMULATE, "SimulateUplink", request, timeout)?
            }
            Way::V3(calls) => calls.simulate_uplink(py, dev_id.as_str(), payload, port, timeout)?,
            Way::ChirpStack(calls) => {
                let instead = "a device has to send; those of Sandbox(network=\"chirpstack\") do";
                return Err(calls.missing("simulate_uplink()", instead));
            }
        };
        self.face.give(py, told)
    }

    /// Give the network's blocks of device addresses: objects with ``prefix`` and ``usage``.
    #[pyo3(signature = (*, timeout=None))]
    fn prefixes<'py>(&self, py: Python<'py>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let request = message("lorawan.PrefixesRequest", &[]);
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let (what, instead) = ("a list of address blocks", "dev_addr() gives addresses of the network's");
        let calls = match &self.way {
            Way::V2(calls) => calls,
            Way::V3(calls) => return Err(calls.missing(what, instead)),
            Way::ChirpStack(calls) => return Err(calls.missing(what, instead)),
        };
        let answer = calls.ask(py, GET_PREFIXES, "GetPrefixes", request, timeout)?;
        self.face.give(py, answer.map(py, |py, answer| answer.getattr(py, "prefixes"))?)
    }

    /// Get a random device address for a usage, such as ``["abp"]``: 4 bytes.
    #[pyo3(signature = (usage=None, *, timeout=None))]
    fn dev_addr<'py>(
        &self,
        py: Python<'py>,
        usage: Option<Vec<String>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = Calls::timeout(py, timeout.as_ref())?;
        let address = match &self.way {
            Way::V2(calls) => calls.dev_addr(py, usage.unwrap_or_default(), timeout)?,
            Way::V3(calls) => calls.dev_addr(py, timeout)?,
            Way::ChirpStack(calls) => calls.dev_addr(py, timeout)?,
        };
        self.face.give(py, address.map(py, |py, address| Ok(PyBytes::new(py, &address).unbind()))?)
    }
}
