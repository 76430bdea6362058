//! Events of devices and single payload fields, typed.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::dialect::json::{Document, Kind, Value};
use crate::dialect::lorawan::{About, EventKind, Network, base64};
use crate::py::acknowledging::Acknowledgement;
use crate::py::error::decode_error;
use crate::py::shown::{LINE, cut, flat, pairs};
use crate::py::value::{Objects, to_py};

/// Something that happened to a device.
#[pyclass(frozen, subclass, name = "DeviceEvent", module = "thingslink.ttn")]
pub(in crate::py) struct PyDeviceEvent {
    /// Whose it is.
    network: Network,
    /// Name of the event, such as ``down/sent``.
    #[pyo3(get)]
    name: String,
    /// Application ID.
    #[pyo3(get)]
    app_id: String,
    /// Device ID.
    #[pyo3(get)]
    dev_id: String,
    /// In the shape of V2.
    document: Arc<Document>,
    /// As it came, where that is another shape.
    whole: Option<Arc<Document>>,
    /// To acknowledge it with.
    pub(super) acknowledgement: Acknowledgement,
}

impl PyDeviceEvent {
    /// As it came from this network.
    fn came<'py>(&self, py: Python<'py>, network: Network) -> PyResult<Option<Bound<'py, PyAny>>> {
        let whole = self.whole.as_ref().filter(|_| self.network == network);
        whole.map(|whole| to_py(py, whole, whole.root(), Objects::Messages)).transpose()
    }

    fn member<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.document.root().get(name).map(|value| to_py(py, &self.document, value, Objects::Messages)).transpose()
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyDeviceEvent {
    /// The body: an ``UplinkMessage``, or ``None`` where the network sends none.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.document, self.document.root(), Objects::Messages)
    }

    /// The network's words, on events that tell of an error.
    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.member(py, "error")
    }

    /// The whole message as The Things Stack V3 sent it; ``None`` for events of other networks.
    #[getter]
    fn v3<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.came(py, Network::V3)
    }

    /// The whole message as ChirpStack sent it; ``None`` for events of other networks.
    #[getter]
    fn chirpstack<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.came(py, Network::ChirpStack)
    }

    /// Give the JSON text of ``data``: as received, but for events whose ``v3`` or ``chirpstack`` has that.
    fn json<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.document.text().as_bytes())
    }

    #[doc = stub!("DeviceEvent.ack")]
    fn ack(&self) -> PyResult<()> {
        self.acknowledgement.acknowledge()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let start = format!("{}(name='{}', dev_id='{}', data=", slf.get_type().name()?, this.name, this.dev_id);
        let room = LINE.saturating_sub(start.chars().count() + 1);
        Ok(cut(&format!("{start}{})", cut(this.document.text(), room)), LINE))
    }

    fn _repr_html_(&self) -> String {
        let mut rows = vec![("dev_id".to_owned(), self.dev_id.clone())];
        flat("", self.document.root(), &mut rows);
        pairs(&self.name, &rows)
    }
}

/// A device joined (``activations``), or failed to (``activations/errors``).
#[pyclass(frozen, extends = PyDeviceEvent, name = "ActivationEvent", module = "thingslink.ttn")]
pub(in crate::py) struct PyActivationEvent;

#[pymethods(crate = "crate::py::named")]
impl PyActivationEvent {
    /// Application EUI, 16 hex digits.
    #[getter]
    fn app_eui<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "app_eui")
    }

    /// Device EUI, 16 hex digits.
    #[getter]
    fn dev_eui<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "dev_eui")
    }

    /// The address given to the device, 8 hex digits; empty on errors.
    #[getter]
    fn dev_addr<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "dev_addr")
    }

    /// How the request was heard.
    #[getter]
    fn metadata<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "metadata")
    }
}

/// A downlink was queued (``down/scheduled``), sent, acknowledged (``down/acks``), or failed (``down/errors``).
#[pyclass(frozen, extends = PyDeviceEvent, name = "DownlinkEvent", module = "thingslink.ttn")]
pub(in crate::py) struct PyDownlinkEvent;

#[pymethods(crate = "crate::py::named")]
impl PyDownlinkEvent {
    /// The downlink: ``port``, ``payload_raw`` and so on, as far as the network tells.
    #[getter]
    fn message<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "message")
    }

    #[doc = stub!("DownlinkEvent.payload")]
    #[getter]
    fn payload<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let event = slf.as_super().get();
        let Some(text) = event.document.root().get("payload").and_then(Value::as_str) else { return Ok(None) };
        match base64::decode(&text) {
            Ok(bytes) => Ok(Some(PyBytes::new(slf.py(), &bytes))),
            Err(error) => Err(decode_error(slf.py(), format!("payload is not base64: {error}"))),
        }
    }

    /// The gateway that sent it (``down/sent``).
    #[getter]
    fn gateway_id<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "gateway_id")
    }

    /// How it was sent: ``frequency`` in Hz, ``power`` in dBm, ``airtime`` in ns and so on (``down/sent``).
    #[getter]
    fn config<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "config")
    }
}

/// A device was registered (``create``), changed (``update``) or removed (``delete``).
#[pyclass(frozen, extends = PyDeviceEvent, name = "RegistrationEvent", module = "thingslink.ttn")]
pub(in crate::py) struct PyRegistrationEvent;

#[pymethods(crate = "crate::py::named")]
impl PyRegistrationEvent {
    /// Degrees, if changed.
    #[getter]
    fn latitude<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "latitude")
    }

    /// Degrees, if changed.
    #[getter]
    fn longitude<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "longitude")
    }

    /// Metres, if changed.
    #[getter]
    fn altitude<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        slf.as_super().get().member(slf.py(), "altitude")
    }
}

/// An event of the class that its name decides.
pub(in crate::py) fn new<'py>(
    py: Python<'py>,
    network: Network,
    about: &About<'_>,
    document: Arc<Document>,
    acknowledgement: Acknowledgement,
) -> PyResult<Bound<'py, PyAny>> {
    let kind = network.event_kind(about.name);
    let (name, app_id, dev_id) = (about.name.to_owned(), about.app_id().into_owned(), about.dev_id().into_owned());
    let (document, whole) = match network.event(&name, document.root()) {
        None => (document, None),
        Some(text) => {
            let shaped = Document::parse(text.as_bytes()).map_err(|error| decode_error(py, error.to_string()))?;
            (Arc::new(shaped), Some(document))
        }
    };
    let base = PyDeviceEvent { network, name, app_id, dev_id, document, whole, acknowledgement };
    let base = PyClassInitializer::from(base);
    Ok(match kind {
        EventKind::Activation => Bound::new(py, base.add_subclass(PyActivationEvent))?.into_any(),
        EventKind::Downlink => Bound::new(py, base.add_subclass(PyDownlinkEvent))?.into_any(),
        EventKind::Registration => Bound::new(py, base.add_subclass(PyRegistrationEvent))?.into_any(),
        EventKind::UplinkError | EventKind::Other => Bound::new(py, base)?.into_any(),
    })
}

/// The value of one payload field of an uplink.
#[pyclass(frozen, name = "FieldValue", module = "thingslink.ttn")]
pub(in crate::py) struct PyFieldValue {
    /// Name, levels joined by ``/``.
    #[pyo3(get)]
    field: String,
    /// Application ID.
    #[pyo3(get)]
    app_id: String,
    /// Device ID.
    #[pyo3(get)]
    dev_id: String,
    document: Arc<Document>,
    /// Where in the document the value stands.
    index: u32,
    /// To acknowledge it with.
    pub(super) acknowledgement: Acknowledgement,
}

impl PyFieldValue {
    pub(super) fn new(
        field: &str,
        about: &About<'_>,
        document: Arc<Document>,
        index: u32,
        acknowledgement: Acknowledgement,
    ) -> Self {
        let (field, app_id, dev_id) = (field.to_owned(), about.app_id().into_owned(), about.dev_id().into_owned());
        Self { field, app_id, dev_id, document, index, acknowledgement }
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyFieldValue {
    /// The value; objects are ``UplinkMessage``.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.document, self.document.value(self.index), Objects::Messages)
    }

    #[doc = stub!("FieldValue.ack")]
    fn ack(&self) -> PyResult<()> {
        self.acknowledgement.acknowledge()
    }

    fn __repr__(&self) -> String {
        let value = self.document.value(self.index);
        let quote = if matches!(value.kind(), Kind::Plain | Kind::Escaped) { "\"" } else { "" };
        let start = format!("FieldValue(dev_id='{}', field='{}', value={quote}", self.dev_id, self.field);
        let room = LINE.saturating_sub(start.chars().count() + quote.len() + 1);
        cut(&format!("{start}{}{quote})", cut(value.raw(), room)), LINE)
    }

    fn _repr_html_(&self) -> String {
        let mut rows = vec![("dev_id".to_owned(), self.dev_id.clone())];
        flat(&self.field, self.document.value(self.index), &mut rows);
        pairs("payload field", &rows)
    }
}
