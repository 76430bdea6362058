//! What should be subscribed to.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::QoS;
use crate::dialect::mqtt::covers;
use crate::sync::Mutex;

/// The filters that are wanted. The driver makes the server agree, after every connect and after every change.
#[derive(Debug)]
pub struct Subscriptions {
    /// QoS for [`Subscriptions::set`].
    qos: QoS,
    /// Filters in one request.
    pub(super) batch: usize,
    wanted: Mutex<Vec<(String, QoS)>>,
    /// Counts changes, so that a look for one costs next to nothing.
    version: AtomicU64,
    pub(super) changed: Notify,
}

impl Subscriptions {
    /// Nothing wanted yet; everything will be asked for at `qos`.
    #[must_use]
    pub fn new(qos: QoS) -> Self {
        Self { qos, batch: 50, wanted: Mutex::default(), version: AtomicU64::new(0), changed: Notify::new() }
    }

    /// These in this order, each asked for in a request of its own: for servers that look at the order.
    #[must_use]
    pub fn one_by_one(filters: Vec<(String, QoS)>) -> Self {
        Self {
            qos: QoS::AtLeastOnce,
            batch: 1,
            wanted: Mutex::new(filters),
            version: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    /// Want one more.
    pub fn add(&self, filter: &str, qos: QoS) {
        let mut wanted = self.wanted.lock();
        if wanted.iter().all(|(known, _)| known != filter) {
            wanted.push((filter.to_owned(), qos));
            drop(wanted);
            self.tell();
        }
    }

    /// Want one less.
    pub fn remove(&self, filter: &str) {
        let mut wanted = self.wanted.lock();
        let before = wanted.len();
        wanted.retain(|(known, _)| known != filter);
        if wanted.len() != before {
            drop(wanted);
            self.tell();
        }
    }

    /// Want these filters and no others. Filters that another one covers are left out, so that the server sends each
    /// message once.
    pub fn set(&self, filters: impl IntoIterator<Item = String>) {
        let all: BTreeSet<String> = filters.into_iter().collect();
        let needed: Vec<_> = all
            .iter()
            .filter(|one| !all.iter().any(|other| other != *one && covers(other, one)))
            .map(|filter| (filter.clone(), self.qos))
            .collect();
        let mut wanted = self.wanted.lock();
        if *wanted != needed {
            *wanted = needed;
            drop(wanted);
            self.tell();
        }
    }

    fn tell(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.changed.notify_one();
    }

    /// Changes with the filters.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Resolves when other filters are wanted.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The filters wanted now.
    #[must_use]
    pub fn wanted(&self) -> Vec<(String, QoS)> {
        self.wanted.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covered_filters_are_left_out() {
        let subscriptions = Subscriptions::new(QoS::AtMostOnce);
        subscriptions.set(
            ["a/+/up", "a/x/up", "a/x/events/#", "a/x/events/down/sent", "a/+/events/down/sent"].map(String::from),
        );
        assert_eq!(
            subscriptions.wanted().into_iter().map(|(filter, _)| filter).collect::<Vec<_>>(),
            ["a/+/events/down/sent", "a/+/up", "a/x/events/#"]
        );
    }

    #[test]
    fn an_order_that_matters_is_kept() {
        let filters = ["b", "a/+"].map(|filter| (filter.to_owned(), QoS::AtLeastOnce)).to_vec();
        let subscriptions = Subscriptions::one_by_one(filters);
        subscriptions.add("a/1", QoS::AtMostOnce);
        subscriptions.add("b", QoS::AtMostOnce);
        subscriptions.remove("a/+");
        assert_eq!(subscriptions.wanted(), [("b".into(), QoS::AtLeastOnce), ("a/1".into(), QoS::AtMostOnce)]);
    }
}
