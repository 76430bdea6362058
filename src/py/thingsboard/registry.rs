//! The callbacks of a client and the requests that wait for answers.

use std::collections::HashMap;

use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::callback::Callback;

/// A subscription to attributes of the client itself.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) callback: Callback,
}

/// A subscription to attributes of devices behind the gateway; `*` stands for all.
#[derive(Debug)]
pub(super) struct GatewaySubscription {
    pub(super) id: u64,
    pub(super) device: String,
    pub(super) attribute: String,
    pub(super) callback: Callback,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) callback: Callback,
    /// What ends the wait.
    pub(super) _timer: Option<Timer>,
}

/// The task that ends a wait, and itself ends with it.
#[derive(Debug)]
pub(super) struct Timer(pub(super) AbortHandle);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Everything that may be called.
#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) last_subscription: u64,
    pub(super) gateway_subscriptions: Vec<GatewaySubscription>,
    pub(super) last_gateway_subscription: u64,
    pub(super) attribute_requests: HashMap<u64, Pending>,
    pub(super) calls: HashMap<u64, Pending>,
    /// How long a piece of a package is waited for.
    pub(super) piece: Option<Timer>,
    pub(super) rpc: Option<Callback>,
    pub(super) gateway_rpc: Option<Callback>,
}

impl Registry {
    /// Every Python object in it, for the garbage collector.
    pub(super) fn objects(&self) -> Vec<&Py<PyAny>> {
        let subscriptions = self.subscriptions.iter().map(|one| &one.callback);
        let gateway = self.gateway_subscriptions.iter().map(|one| &one.callback);
        let pending = self.attribute_requests.values().chain(self.calls.values()).map(|one| &one.callback);
        let handlers = self.rpc.iter().chain(&self.gateway_rpc);
        let callbacks = subscriptions.chain(gateway).chain(pending).chain(handlers);
        callbacks.flat_map(|callback| std::iter::once(&callback.callable).chain(&callback.userdata)).collect()
    }

    /// The callbacks for a message of shared attributes: those for everything, then key by key, each in the order of
    /// their numbers.
    pub(super) fn for_attributes(&self, py: Python<'_>, keys: &[String]) -> Vec<Callback> {
        let of = |key: &str| {
            let key = key.to_owned();
            self.subscriptions.iter().filter(move |one| one.key == key).map(|one| one.callback.clone_ref(py))
        };
        of("*").chain(keys.iter().filter(|key| *key != "*").flat_map(|key| of(key))).collect()
    }

    /// The same for a device behind the gateway.
    pub(super) fn for_device(&self, py: Python<'_>, device: &str, keys: &[String]) -> Vec<Callback> {
        let of = |device: &str, key: &str| {
            let (device, key) = (device.to_owned(), key.to_owned());
            self.gateway_subscriptions
                .iter()
                .filter(move |one| one.device == device && one.attribute == key)
                .map(|one| one.callback.clone_ref(py))
        };
        let attributes = keys.iter().filter(|key| *key != "*").flat_map(|key| of("*", key).chain(of(device, key)));
        of("*", "*").chain(of(device, "*")).chain(attributes).collect()
    }
}
