//! The stack's broker for applications (V3 2).

mod connection;
mod filter;
#[cfg(test)]
mod fuzz;
mod packet;
mod router;
mod session;

use std::sync::Arc;

use tokio::sync::watch;

pub(super) use self::router::Router;
use super::stack::Stack;
use crate::sandbox::listener::{Service, Socket};

impl Service for Stack {
    fn refuses_connections(&self) -> bool {
        self.faults.refuses_connections() || !self.limits.take(super::limit::ACCEPT, "")
    }

    async fn serve<S>(self: Arc<Self>, stream: S, _shown: Option<Vec<u8>>, stop: watch::Receiver<bool>)
    where
        S: Socket,
    {
        connection::serve(stream, &self, stop).await;
    }
}
