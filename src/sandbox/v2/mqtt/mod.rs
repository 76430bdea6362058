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

use super::Network;
use crate::sandbox::listener::{Arrival, Service, Socket};
use crate::sandbox::room::Room;

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
        connection::serve(stream, &self, arrival).await;
    }
}
