//! What a gateway's devices are sent.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::deliver::{Shared, changed, malformed};
use super::logger;
use crate::client::Incoming;
use crate::client::thingsboard::Request;
use crate::dialect::thingsboard::Topic;

impl Shared {
    pub(super) fn deliver_gateway(
        &self,
        client: &Bound<'_, PyAny>,
        address: Topic<'_>,
        message: &Incoming,
        content: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = client.py();
        let Ok(dict) = content.cast::<PyDict>() else {
            malformed(py, message, "a JSON object");
            return Ok(());
        };
        match address {
            Topic::GatewayAttributesResponse => {
                let number = dict.get_item("id")?.and_then(|number| number.extract::<u64>().ok());
                match number.map(|number| self.take(Request::Attributes(number))) {
                    Some(Some(pending)) => {
                        self.call_attributes(client, &pending.callback, content, &py.None().into_bound(py));
                    }
                    Some(None) => {
                        let text = "Unable to find callback to process attributes response from platform.";
                        logger::log(py, "error", text);
                    }
                    None => malformed(py, message, "an object with a number as \"id\""),
                }
            }
            Topic::GatewayAttributes => {
                let device = dict.get_item("device")?.and_then(|device| device.extract::<String>().ok());
                let data = dict.get_item("data")?;
                let values = data.as_ref().and_then(|data| data.cast::<PyDict>().ok());
                let keys = values.map_or_else(|| Ok(Vec::new()), changed)?;
                if device.is_none() || !data.as_ref().is_some_and(pyo3::types::PyAnyMethods::is_instance_of::<PyDict>) {
                    malformed(py, message, "an object with \"device\" and \"data\"");
                }
                let callbacks = self.registry.lock().for_device(py, device.as_deref().unwrap_or_default(), &keys);
                for callback in callbacks {
                    let arguments = match (callback.count, &data) {
                        (2, Some(data)) => vec![client.clone(), data.clone()],
                        _ => vec![content.clone()],
                    };
                    self.call(client, &callback, arguments);
                }
            }
            Topic::GatewayRpc => self.deliver_gateway_call(client, message, content)?,
            _ => {
                if let Some(reason) = dict.get_item("reason")?.and_then(|reason| reason.extract::<i64>().ok()) {
                    const RATE_LIMIT: i64 = 150;
                    let device = dict.get_item("device")?.map_or_else(String::new, |device| device.to_string());
                    logger::log(py, "info", &format!("Device \"{device}\" disconnected with reason {reason}"));
                    if reason == RATE_LIMIT {
                        self.client.device_limits_reached();
                    }
                }
                self.owner.home().claim();
                client.call_method1("_hear_device_dropped", (content,))?;
            }
        }
        Ok(())
    }

    /// A call to the gateway itself may say that devices have other names now: ``{"old name": "new name"}``.
    pub(super) fn rename_devices(&self, call: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(call) = call.cast::<PyDict>() else { return Ok(()) };
        let method = call.get_item("method")?.and_then(|method| method.extract::<String>().ok());
        let Some(names) = call.get_item("params")?.filter(|_| method.as_deref() == Some("gateway_device_renamed"))
        else {
            return Ok(());
        };
        let Ok(names) = names.extract::<BTreeMap<String, String>>() else { return Ok(()) };
        for (from, to) in names {
            if self.client.rename(&from, &to) {
                logger::log(call.py(), "info", &format!("Device \"{from}\" is announced as \"{to}\" now"));
            }
            let mut registry = self.registry.lock();
            for subscription in registry.gateway_subscriptions.iter_mut().filter(|one| one.device == from) {
                subscription.device.clone_from(&to);
            }
        }
        Ok(())
    }

    fn deliver_gateway_call(
        &self,
        client: &Bound<'_, PyAny>,
        message: &Incoming,
        content: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = client.py();
        let handler = self.registry.lock().gateway_rpc.as_ref().map(|handler| handler.clone_ref(py));
        let Some(handler) = handler else { return Ok(()) };
        if handler.count != 3 {
            self.call(client, &handler, vec![client.clone(), content.clone()]);
            return Ok(());
        }
        match content.get_item("data").and_then(|data| data.get_item("id")) {
            Ok(number) => self.call(client, &handler, vec![client.clone(), number, content.clone()]),
            Err(_) => malformed(py, message, "an object whose \"data\" has an \"id\""),
        }
        Ok(())
    }
}
