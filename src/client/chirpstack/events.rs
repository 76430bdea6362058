//! The events of one device, as the web interface shows them (CS 4.6): first some ten that the server has kept, then new ones.

use prost::Message as _;
use tokio::sync::Mutex;

use super::{ChirpStack, Tenancy, explain, unreadable};
use crate::client::managed::code_of;
use crate::error::{Error, Result, RpcCode};
use crate::rpc::Messages;
use crate::rpc::proto::chirpstack::api;

/// Events as they come. Nothing is read while nobody asks: what the server sends meanwhile waits on the connection.
#[derive(Debug)]
pub struct Events(
    /// Gone when it has ended.
    Mutex<Option<Messages>>,
);

impl ChirpStack {
    /// The events of a device; those that are kept come first, and then those that happen. In upper case its `DevEUI` would be
    /// that of a device, and nothing would come.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn events(&self, dev_eui: &str) -> Result<Messages> {
        let request = api::StreamDeviceEventsRequest { dev_eui: dev_eui.to_ascii_lowercase() };
        let (method, options) = self.method("InternalService", "StreamDeviceEvents")?;
        self.channel.open(&method, request.encode_to_vec().into(), &options).await.map_err(explain)
    }

    /// One of them, decoded.
    ///
    /// # Errors
    /// For what is none.
    pub(super) fn event(message: bytes::Bytes) -> Result<api::LogItem> {
        api::LogItem::decode(message).map_err(|error| unreadable("InternalService", "StreamDeviceEvents", &error))
    }
}

impl Events {
    /// The next one; `None` when nothing has come for the time that each call may take, and from then on.
    ///
    /// # Errors
    /// What the server says.
    pub async fn next(&self) -> Result<Option<api::LogItem>> {
        let mut messages = self.0.lock().await;
        let Some(coming) = messages.as_mut() else { return Ok(None) };
        match coming.next(coming.patience()).await {
            Ok(Some(message)) => ChirpStack::event(message).map(Some),
            outcome => {
                *messages = None;
                match outcome {
                    Err(error) if !is_silence(&error) => Err(explain(error)),
                    _ => Ok(None),
                }
            }
        }
    }
}

fn is_silence(error: &Error) -> bool {
    code_of(error) == Some(RpcCode::DeadlineExceeded)
}

impl Tenancy {
    /// The events of a device, and its `DevEUI`.
    ///
    /// # Errors
    /// That there is no such device, and what the server says.
    pub async fn events(&self, dev_id: &str) -> Result<(String, Events)> {
        let (_, record) = self.record(dev_id).await?;
        let dev_eui = record.whole.read.dev_eui;
        let events = self.server.events(&dev_eui).await?;
        Ok((dev_eui, Events(Mutex::new(Some(events)))))
    }
}
