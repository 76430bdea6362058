//! Who may call what: keys, rights and the rate limit (V2 2.1).

use std::collections::HashMap;

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use crate::sandbox::v2::Network;
use crate::sandbox::v2::Right;
use crate::sync::Mutex;

/// How long a call may be held back before it is refused.
const HOLD: Duration = Duration::from_millis(500);

/// Calls per second and application, if they are limited.
#[derive(Debug, Default)]
pub(in crate::sandbox::v2) struct Throttle {
    per_second: Mutex<Option<f64>>,
    next: Mutex<HashMap<String, Instant>>,
}

impl Throttle {
    /// Limit the calls, or no longer.
    pub(in crate::sandbox::v2) fn set(&self, per_second: Option<f64>) {
        *self.per_second.lock() = per_second;
        self.next.lock().clear();
    }

    /// How long a call has to wait; `None` if it is refused.
    fn delay(&self, app_id: &str) -> Option<Duration> {
        let Some(per_second) = *self.per_second.lock() else {
            return Some(Duration::ZERO);
        };
        let mut next = self.next.lock();
        let now = Instant::now();
        let turn = next.get(app_id).copied().unwrap_or(now).max(now);
        let delay = turn - now;
        if delay > HOLD {
            return None;
        }
        next.insert(app_id.to_owned(), turn + Duration::from_secs_f64(1.0 / per_second));
        Some(delay)
    }
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty())
}

/// A decimal number in the metadata; absent or unreadable ones count as 0.
pub(super) fn number(metadata: &MetadataMap, name: &str) -> usize {
    text(metadata, name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What a caller may do with an application; the sandbox takes an access key as a token, too.
pub(super) fn has_right(network: &Network, metadata: &MetadataMap, app_id: &str, right: Right) -> bool {
    let Some(secret) = text(metadata, "token").or_else(|| text(metadata, "key")) else { return false };
    network.registry().rights(app_id, secret).is_some_and(|rights| rights.contains(&right))
}

/// Let a call in that has this right, when its turn has come.
pub(super) async fn admit<T>(
    network: &Network,
    request: &Request<T>,
    app_id: &str,
    right: Right,
) -> Result<(), Status> {
    network.faults.pause().await;
    let metadata = request.metadata();
    if text(metadata, "token").is_none() && text(metadata, "key").is_none() {
        return Err(Status::invalid_argument("Metadata not valid: neither token nor key present"));
    }
    match network.throttle.delay(app_id) {
        Some(Duration::ZERO) => {}
        Some(delay) => tokio::time::sleep(delay).await,
        None => return Err(Status::resource_exhausted("rate limit exceeded")),
    }
    if has_right(network, metadata, app_id, right) {
        return Ok(());
    }
    let text = format!("permission denied: No \"{}\" rights to application \"{app_id}\"", right.name());
    Err(Status::permission_denied(text))
}
