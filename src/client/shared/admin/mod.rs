//! Who looks after an application's stream, and is no member of a group: how far the groups are, what is stored, and
//! messages that are to be handled again.
//!
//! - [`Admin`]: the connection
//! - `groups`: lanes, and what waits for whom
//! - `stored`: messages of a stream, read in their order and handed to a group again
//! - `letters`: messages that failed again and again

mod groups;
mod letters;
mod stored;

use std::time::Duration;

use async_nats::jetstream::stream::Stream;

pub use self::groups::{Backlog, Lane, Waiting};
pub use self::letters::DeadLetter;
pub use self::stored::{Span, Stored, StoredMessage};
use crate::dialect::lorawan::Network;
use crate::error::Result;
use crate::nats::{self, Server, stream};

/// A connection to the NATS server that has an application's stream.
#[derive(Debug)]
pub struct Admin {
    server: Server,
    stream: Stream,
    network: Network,
    app: String,
    /// Bound on each answer.
    timeout: Duration,
}

impl Admin {
    /// Connect. `app` is the application as subjects have it: without a tenant.
    ///
    /// # Errors
    /// What keeps connections from being opened; [`crate::Error::Stream`] where no bridge has made the stream yet.
    pub async fn connect(options: &nats::Options, app: &str) -> Result<Self> {
        let server = Server::connect(options).await?;
        let (stream, network) = stream::open(server.context(), app).await?;
        Ok(Self { server, stream, network, app: app.to_owned(), timeout: options.timeout })
    }

    /// What the stream's messages are of.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// Part with the server.
    pub async fn close(&self, within: Duration) {
        self.server.close(within).await;
    }
}
