//! Where the server delivers what a member asks for, and how that ends so that nothing is lost on the way.

use async_nats::{Client, Message, Subject, SubscribeError, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout_at};

/// What every server answers at once.
const ASKED: &str = "$JS.API.INFO";

/// The subject that a member's messages come to, one token more for each lane.
#[derive(Debug)]
pub(super) struct Inbox {
    client: Client,
    subject: String,
    subscriber: Subscriber,
    /// Messages that came, of this connection.
    came: u64,
}

impl Inbox {
    pub(super) async fn open(client: &Client) -> Result<Self, SubscribeError> {
        let subject = client.new_inbox();
        let subscriber = client.subscribe(format!("{subject}.*")).await?;
        Ok(Self { client: client.clone(), subject, subscriber, came: 0 })
    }

    /// The connection is another one: the server counts anew.
    pub(super) async fn open_again(&mut self) -> Result<(), SubscribeError> {
        self.subscriber = self.client.subscribe(format!("{}.*", self.subject)).await?;
        self.came = 0;
        Ok(())
    }

    /// Where a message that is asked for is to come.
    pub(super) fn reply(&self, lane: Option<u16>) -> String {
        lane.map_or_else(|| format!("{}.all", self.subject), |lane| format!("{}.{lane}", self.subject))
    }

    /// The next message; none when the connection has ended for good.
    pub(super) async fn next(&mut self) -> Option<Message> {
        let message = self.subscriber.next().await;
        self.came += u64::from(message.is_some());
        message
    }

    /// The next message, if it is there already.
    pub(super) fn next_now(&mut self) -> Option<Message> {
        let message = self.subscriber.next().now_or_never().flatten();
        self.came += u64::from(message.is_some());
        message
    }

    /// End the subscription, at most until then, while so many messages that were asked for have not come. Gives where those
    /// are acknowledged that come all the same.
    ///
    /// async-nats forgets a subscription before the server does, and drops what comes between. So both are told to end it with
    /// a message that is still to come, and answers of the server make up for those that it does not send.
    pub(super) async fn end(&mut self, outstanding: usize, until: Instant) -> Vec<Subject> {
        // Each request may have an end of its own.
        let left = 2 * outstanding as u64 + 1;
        let mut late = Vec::new();
        if self.subscriber.unsubscribe_after(self.came + left).await.is_err() {
            return late;
        }
        for _ in 0..left {
            let reply = format!("{}.answer", self.subject);
            if self.client.publish_with_reply(ASKED, reply, Bytes::new()).await.is_err() {
                return late;
            }
        }
        while let Ok(Some(message)) = timeout_at(until, self.subscriber.next()).await {
            late.extend(message.reply);
        }
        late
    }
}
