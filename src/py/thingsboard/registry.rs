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
    /// Where in the program it was made.
    pub(super) place: Place,
    /// The connect callback that made it last, by its number; 0 for none.
    pub(super) made_by: u64,
}

/// A place in a program.
#[derive(Debug)]
pub(super) struct Place {
    code: Py<PyAny>,
    instruction: i64,
}

impl Place {
    /// Where the program calls us from.
    pub(super) fn of_caller(py: Python<'_>) -> PyResult<Self> {
        let mut frame = py.import("sys")?.call_method0("_getframe")?;
        // Of our own methods in Python, those who call them.
        while let Ok(name) = frame.getattr("f_globals")?.get_item("__name__")
            && name.extract::<String>().is_ok_and(|name| name.starts_with("thingslink."))
            && let Some(caller) = frame.getattr("f_back").ok().filter(|caller| !caller.is_none())
        {
            frame = caller;
        }
        Ok(Self { code: frame.getattr("f_code")?.unbind(), instruction: frame.getattr("f_lasti")?.extract()? })
    }

    fn is_same(&self, other: &Self) -> bool {
        self.code.is(&other.code) && self.instruction == other.instruction
    }
}

/// The connect callbacks of the program.
#[derive(Debug, Default)]
pub(super) struct ConnectCallbacks {
    /// How many there were.
    pub(super) count: u64,
    /// Whether the last one is not over.
    pub(super) running: bool,
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
    pub(super) connect_callbacks: ConnectCallbacks,
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
        callbacks.flat_map(|callback| callback.callable.objects().chain(&callback.userdata)).collect()
    }

    /// Take a subscription. What a connect callback subscribes to takes the place of what the same place in the program
    /// subscribed to before: such callbacks make anew what is kept over a reconnect. Gives the number, and what was
    /// replaced, to be dropped outside the lock.
    pub(super) fn subscribe(&mut self, key: String, callback: Callback, place: Place) -> (u64, Option<Callback>) {
        let made_by = self.connect_callback();
        let before = self
            .subscriptions
            .iter_mut()
            .find(|one| made_by > 0 && one.made_by != made_by && one.key == key && one.place.is_same(&place));
        if let Some(one) = before {
            one.made_by = made_by;
            return (one.id, Some(std::mem::replace(&mut one.callback, callback)));
        }
        self.last_subscription += 1;
        let id = self.last_subscription;
        self.subscriptions.push(Subscription { id, key, callback, place, made_by });
        (id, None)
    }

    /// A subscription was asked for once more.
    pub(super) fn renew(&mut self, id: u64) {
        let made_by = self.connect_callback();
        if let Some(one) = self.subscriptions.iter_mut().find(|one| one.id == id) {
            one.made_by = made_by;
        }
    }

    /// The number of the connect callback that runs; 0 while none does.
    fn connect_callback(&self) -> u64 {
        if self.connect_callbacks.running { self.connect_callbacks.count } else { 0 }
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
