//! What the constructor of an MQTT client is given, whichever face it has: each argument stands here once.

use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::address::Address;
use super::settings::{Broker, Settings, Sharing};
use crate::client::lorawan::Config;
use crate::ids::AppId;
use crate::py::acknowledging::Acknowledging;
use crate::py::arguments::{Aliases, Given};
use crate::py::log;
use crate::py::nats::NatsLogin;
use crate::py::number;
use crate::sync::Mutex;

/// Read: the settings, where to connect, how messages are acknowledged, and whether downlinks are followed from the start.
pub(in crate::py) type Read = (Config, Address, Acknowledging, bool);

/// The arguments of ``MQTTClient``; under its name, which errors tell.
#[pyclass(frozen, name = "MQTTClient", module = "thingslink._native")]
pub(in crate::py) struct PyMqttGiven(Mutex<Option<Read>>);

impl PyMqttGiven {
    /// Read the arguments.
    pub(in crate::py) fn of(
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Read> {
        let given = py.get_type::<Self>().call(args, kwargs)?.cast_into::<Self>()?;
        let read = given.get().0.lock().take();
        read.ok_or_else(|| PyTypeError::new_err("the arguments were read before"))
    }
}

#[pymethods(crate = "crate::py::named")]
impl PyMqttGiven {
    #[new]
    #[pyo3(
        signature = (
            app_id=Given(None), access_key=Given(None), mqtt_address=None,
            discovery_address=None, reconnect=true, *,
            keep_alive=None, client_id="", clean_session=true, qos=0, tls=None, ca_certs=None,
            reconnect_min_delay=None, reconnect_max_delay=None, max_message_bytes=4 << 20, max_inflight=1000,
            queue_messages=None, queue_bytes=None, overflow=None,
            send_queue_messages=50_000, send_queue_bytes=64 << 20, insecure_channel=false, discovery_certificate=None,
            on_callback_error=None, manual_ack=false, network=None, cluster=None,
            queue_timeout=None, follow_downlinks=false, group=None,
            ordered=false, ack_wait=None, nats_user=None, nats_password=None, nats_token=None, nats_nkey=None,
            nats_credentials=None, nats_monitor=None, management_address=None, identity_address=None, backfill=false,
            mqtt_username=None, mqtt_password=None, client_cert=None, client_key=None, grpc_address=None, tenant_id=None,
            event_topic=None, command_topic=None,
            **aliases
        )
    )]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "the Python signature")]
    fn new<'py>(
        py: Python<'py>,
        app_id: Given<'py>,
        access_key: Given<'py>,
        mqtt_address: Option<String>,
        discovery_address: Option<&str>,
        reconnect: bool,
        keep_alive: Option<Bound<'py, PyAny>>,
        client_id: &str,
        clean_session: bool,
        #[pyo3(from_py_with = number::qos)] qos: i64,
        tls: Option<bool>,
        ca_certs: Option<Bound<'py, PyAny>>,
        reconnect_min_delay: Option<Bound<'py, PyAny>>,
        reconnect_max_delay: Option<Bound<'py, PyAny>>,
        #[pyo3(from_py_with = number::max_message_bytes)] max_message_bytes: usize,
        #[pyo3(from_py_with = number::max_inflight)] max_inflight: usize,
        #[pyo3(from_py_with = number::queue_messages)] queue_messages: Option<usize>,
        #[pyo3(from_py_with = number::queue_bytes)] queue_bytes: Option<usize>,
        overflow: Option<&str>,
        #[pyo3(from_py_with = number::send_queue_messages)] send_queue_messages: usize,
        #[pyo3(from_py_with = number::send_queue_bytes)] send_queue_bytes: usize,
        insecure_channel: bool,
        discovery_certificate: Option<Bound<'py, PyAny>>,
        on_callback_error: Option<&str>,
        manual_ack: bool,
        network: Option<&str>,
        cluster: Option<&str>,
        queue_timeout: Option<Bound<'py, PyAny>>,
        follow_downlinks: bool,
        group: Option<&str>,
        ordered: bool,
        ack_wait: Option<Bound<'py, PyAny>>,
        nats_user: Option<String>,
        nats_password: Option<String>,
        nats_token: Option<String>,
        nats_nkey: Option<String>,
        nats_credentials: Option<PathBuf>,
        nats_monitor: Option<&str>,
        management_address: Option<&str>,
        identity_address: Option<&str>,
        backfill: bool,
        mqtt_username: Option<String>,
        mqtt_password: Option<String>,
        client_cert: Option<Bound<'py, PyAny>>,
        client_key: Option<Bound<'py, PyAny>>,
        grpc_address: Option<&str>,
        tenant_id: Option<&str>,
        event_topic: Option<&str>,
        command_topic: Option<&str>,
        aliases: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Self> {
        let mut aliases = Aliases::new("MQTTClient", aliases);
        let app_id = aliases.require("app_id", app_id, &["appID"])?;
        let access_key = aliases.require("access_key", access_key, &["app_access_key", "appAccessKey"])?;
        let mqtt_address = match aliases.find("mqtt_address", Given(None), &["mqttAddress"])? {
            Some(_) if mqtt_address.is_some() => {
                return Err(PyTypeError::new_err("MQTTClient() got two values for 'mqtt_address'"));
            }
            Some(address) => address.text()?,
            None => mqtt_address.unwrap_or_default(),
        };
        aliases.finish()?;
        let settings = Settings {
            app_id: app_id.judged(AppId::new(app_id.text()?))?,
            access_key,
            mqtt_address,
            discovery_address,
            reconnect,
            keep_alive,
            client_id,
            clean_session,
            qos,
            tls,
            ca_certs,
            reconnect_min_delay,
            reconnect_max_delay,
            max_message_bytes,
            max_inflight,
            queue_messages,
            queue_bytes,
            overflow,
            send_queue_messages,
            send_queue_bytes,
            insecure_channel,
            discovery_certificate,
            on_callback_error,
            manual_ack,
            network,
            cluster,
            queue_timeout,
            group: group.map(|name| Sharing { name, ordered, ack_wait }),
            nats: NatsLogin {
                user: nats_user,
                password: nats_password,
                token: nats_token,
                nkey: nats_nkey,
                credentials: nats_credentials,
            },
            nats_monitor,
            management_address,
            identity_address,
            backfill,
            broker: Broker {
                username: mqtt_username,
                password: mqtt_password,
                certificate: client_cert,
                key: client_key,
            },
            grpc_address,
            tenant_id,
            event_topic,
            command_topic,
        };
        let (config, address, acknowledging) = settings.read(py)?;
        log::prepare(py)?;
        Ok(Self(Mutex::new(Some((config, address, acknowledging, follow_downlinks)))))
    }
}
