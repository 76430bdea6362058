//! A small MQTT 3.1.1 broker, on the transport crate's packet codec and on nothing of our own client.

mod connection;
#[cfg(test)]
mod fuzz;
mod router;
mod session;
mod tree;

pub(super) use router::Router;
pub(super) use rumqttc::mqttbytes::QoS;

use std::sync::Arc;

use tokio::sync::watch;

use super::listener::{Service, Socket};
use super::lorawan::Network;

impl Service for Network {
    fn refuses_connections(&self) -> bool {
        self.faults.refuses_connections()
    }

    async fn serve<S>(self: Arc<Self>, stream: S, _shown: Option<Vec<u8>>, stop: watch::Receiver<bool>)
    where
        S: Socket,
    {
        connection::serve(stream, &self, stop).await;
    }
}
