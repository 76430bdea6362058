//! Who may log in to the broker with a key, and what the key permits.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use rumqttc::Login;

use super::Right;
use super::network::Network;
use crate::dialect::lorawan::{self, Topic};
use crate::sandbox::broker::{self, Grant, Guest, House, Router};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::Journal;
use crate::sandbox::listener::{Arrival, Service, Socket};
use crate::sandbox::room::Room;

/// What a key of an application permits.
#[derive(Debug)]
struct Key {
    /// Only topics of this application are for it.
    app_id: String,
    rights: BTreeSet<Right>,
}

impl Grant for Key {
    /// A key sees its own application only, so '+' at the first level stands for that one.
    fn may_subscribe(&self, filter: &str) -> bool {
        let first = filter.split('/').next().unwrap_or_default();
        [self.app_id.as_str(), "+", "#"].contains(&first)
    }

    fn may_receive(&self, topic: &str) -> bool {
        self.rights.contains(&Right::ReadUplinks)
            && topic.strip_prefix(self.app_id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn may_publish(&self, topic: &str) -> bool {
        let Some(rest) = topic.strip_prefix(self.app_id.as_str()) else { return false };
        let is_downlink = rest
            .strip_prefix("/devices/")
            .and_then(|rest| rest.strip_suffix("/down"))
            .is_some_and(|dev_id| !dev_id.is_empty() && !dev_id.contains('/'));
        if is_downlink {
            return self.rights.contains(&Right::WriteDownlinks);
        }
        rest.starts_with('/') && self.rights.contains(&Right::WriteUplinks)
    }
}

impl House for Network {
    fn router(&self) -> &Router {
        &self.router
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn admit(&self, login: Option<&Login>, _: Option<&[u8]>) -> Result<Guest, u8> {
        let (app_id, key) = login.map_or(("", ""), |login| (&login.username, &login.password));
        let rights = self.registry().rights(app_id, key).ok_or(4)?;
        let grant = Box::new(Key { app_id: app_id.to_owned(), rights });
        Ok(Guest { name: app_id.to_owned(), realm: app_id.to_owned(), grant })
    }

    fn take(&self, topic: &str, payload: &Bytes) {
        if let Some(Topic::Downlink { app_id, dev_id }) = lorawan::Network::V2.topic(topic) {
            self.take_downlink(app_id, dev_id, payload);
        }
    }
}

impl Service for Network {
    fn refuses_connections(&self) -> bool {
        self.faults.refuses_connections()
    }

    fn room(&self) -> &Arc<Room> {
        &self.room
    }

    async fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival)
    where
        S: Socket,
    {
        broker::serve(stream, &self, arrival).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(rights: &[Right]) -> Key {
        Key { app_id: "demo-app".into(), rights: rights.iter().copied().collect() }
    }

    #[test]
    fn a_client_sees_and_writes_only_what_its_key_permits() {
        let normal = key(&Right::NORMAL);
        assert!(normal.may_receive("demo-app/devices/x/up") && !normal.may_receive("demo-app2/devices/x/up"));
        assert!(normal.may_publish("demo-app/devices/x/down") && !normal.may_publish("demo-app/devices/x/up"));
        assert!(!normal.may_publish("other/devices/x/down") && !normal.may_publish("demo-app/devices/x/y/down"));
        assert!(key(&[Right::WriteUplinks]).may_publish("demo-app/devices/x/up"));
        assert!(!key(&[Right::WriteDownlinks]).may_receive("demo-app/devices/x/up"));
    }
}
