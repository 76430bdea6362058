//! The events that a server keeps of each device (CS 4.6).

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::{ChirpStack, explain};
use crate::error::Result;
use crate::rpc::proto::chirpstack::api;

/// How many events a server keeps of a device, unless it is configured otherwise, and how many it reads at a time.
pub const KEPT: usize = 10;
/// After so many it reads the next ones a second later; whether there are some is known then.
const NEXT: Duration = Duration::from_secs(2);
/// After fewer there are no others.
const LAST: Duration = Duration::from_millis(500);
/// A device that sends all the time has no end.
const LONGEST: Duration = Duration::from_secs(15);
/// Most events that are taken of one device.
const MOST: usize = 1000;

impl ChirpStack {
    /// The `DevEUI`s of an application's devices for which this holds of their `DevEUI` and the time when they were seen last.
    ///
    /// # Errors
    /// What the server says.
    pub async fn devices_of(
        &self,
        application_id: &str,
        is_meant: impl Fn(&str, Option<Timestamp>) -> bool,
    ) -> Result<Vec<String>> {
        let request = api::ListDevicesRequest {
            application_id: application_id.to_owned(),
            // Names may change between two pages.
            order_by: api::list_devices_request::OrderBy::DevEui.into(),
            ..api::ListDevicesRequest::default()
        };
        let seen = |item: &api::DeviceListItem| {
            let at = item.last_seen_at.as_ref()?;
            Timestamp::new(at.seconds, at.nanos).ok()
        };
        let all = self.all_of(&request).await?;
        Ok(all.into_iter().filter(|item| is_meant(&item.dev_eui, seen(item))).map(|item| item.dev_eui).collect())
    }

    /// The events that the server keeps of a device, the oldest first. The stream of them goes on with what comes and has no
    /// end: it is left when a page was not full and nothing has followed.
    ///
    /// # Errors
    /// What the server says.
    pub async fn kept_events(&self, dev_eui: &str) -> Result<Vec<api::LogItem>> {
        let mut messages = self.events(dev_eui).await?;
        let end = Instant::now() + LONGEST;
        let mut items = Vec::new();
        while items.len() < MOST {
            let patience = if items.len().is_multiple_of(KEPT) { NEXT } else { LAST };
            let until = end.min(Instant::now() + patience);
            let Ok(next) = timeout_at(until, messages.next(LONGEST)).await else { return Ok(items) };
            let Some(message) = next.map_err(explain)? else { return Ok(items) };
            items.push(Self::event(message)?);
        }
        Ok(items)
    }
}
