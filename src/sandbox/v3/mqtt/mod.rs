//! The stack's broker for applications (V3 2).

mod connection;
mod filter;
#[cfg(test)]
mod fuzz;
mod packet;
mod router;
mod session;

use std::sync::Arc;

pub(super) use self::router::Router;
use super::stack::Stack;
use crate::sandbox::listener::{Arrival, Service, Socket};
use crate::sandbox::room::Room;

impl Service for Stack {
    fn refuses_connections(&self) -> bool {
        self.faults.refuses_connections() || !self.limits.take(super::limit::ACCEPT, "")
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
