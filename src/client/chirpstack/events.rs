//! The events of one device, as the web interface shows them (CS 4.6): first some ten that the server has kept, then new ones.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use prost::Message as _;

use super::{ChirpStack, Tenancy, unreadable};
use crate::client::managed::code_of;
use crate::error::{Error, Result, RpcCode};
use crate::rpc::proto::chirpstack::api;
use crate::sync::Mutex;

/// Events as they come. Nothing is read while nobody asks: what the server sends meanwhile waits on the connection.
pub struct Events {
    /// Gone when it has ended.
    running: tokio::sync::Mutex<Option<Running>>,
    came: Arc<Mutex<VecDeque<Bytes>>>,
}

type Running = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

impl ChirpStack {
    /// The events of a device, whose `DevEUI` is in lower case: otherwise the server sends none. It has ended when nothing
    /// has come for the time that each call may take.
    ///
    /// # Errors
    /// For a method that there is not.
    pub fn events(&self, dev_eui: &str) -> Result<Events> {
        let (method, options) = self.method("InternalService", "StreamDeviceEvents")?;
        let request = api::StreamDeviceEventsRequest { dev_eui: dev_eui.to_owned() };
        let came = Arc::new(Mutex::new(VecDeque::new()));
        let (channel, place) = (self.channel.clone(), came.clone());
        let running = async move {
            let each = |item| place.lock().push_back(item);
            channel.stream(&method, request.encode_to_vec().into(), &options, each).await.map_err(super::explain)
        };
        Ok(Events { running: tokio::sync::Mutex::new(Some(Box::pin(running))), came })
    }
}

impl Events {
    /// The next one; `None` when nothing comes any more.
    ///
    /// # Errors
    /// What the server says.
    pub async fn next(&self) -> Result<Option<api::LogItem>> {
        let mut running = self.running.lock().await;
        let next = std::future::poll_fn(|cx| {
            loop {
                if let Some(item) = self.came.lock().pop_front() {
                    return Poll::Ready(Ok(Some(item)));
                }
                let Some(stream) = running.as_mut() else { return Poll::Ready(Ok(None)) };
                match stream.as_mut().poll(cx) {
                    Poll::Ready(outcome) => {
                        *running = None;
                        match outcome {
                            Err(error) if !is_silence(&error) => return Poll::Ready(Err(error)),
                            // What came last is still there.
                            _ => {}
                        }
                    }
                    Poll::Pending if self.came.lock().is_empty() => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
        });
        let Some(item) = next.await? else { return Ok(None) };
        let failed = |error: prost::DecodeError| unreadable("InternalService", "StreamDeviceEvents", &error);
        api::LogItem::decode(item).map_err(failed).map(Some)
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
        let events = self.server.events(&dev_eui)?;
        Ok((dev_eui, events))
    }
}
