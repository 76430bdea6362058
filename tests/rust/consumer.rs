//! A consumer of deliveries for tests, and a client that has one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use thingslink::client::lorawan::{Client, Config};
use thingslink::client::{Delivery, Incoming};
use thingslink::dialect::lorawan::Filter;
use thingslink::endpoint::Endpoint;
use thingslink::ids::{AccessKey, AppId};
use thingslink::sandbox::v2::{Options, Right, Sandbox};
use thingslink::session::Hands;
use tokio::sync::{Notify, mpsc};

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start(Options { mqtts_port: Some(0), seed: Some(1), ..Options::default() }).await.unwrap();
    sandbox.add_application("demo-app", AccessKey::new("secret"), Right::NORMAL.into()).unwrap();
    sandbox.register_device("demo-app", "node-1").unwrap();
    sandbox
}

pub(crate) fn config() -> Config {
    let mut config = Config::new(AppId::new("demo-app").unwrap(), AccessKey::new("secret"));
    config.backoff.min = Duration::from_millis(20);
    config.backoff.max = Duration::from_millis(200);
    config
}

/// A client whose deliveries come out of a channel, each acknowledged when it is taken.
pub(crate) struct Consumer {
    pub(crate) client: Client,
    endpoint: Endpoint,
    deliveries: mpsc::UnboundedReceiver<Delivery<Infallible>>,
}

impl Consumer {
    pub(crate) fn new(address: &str, config: Config) -> Self {
        let endpoint = Endpoint::parse(address, None).unwrap();
        let wake = Arc::new(Notify::new());
        let ring = wake.clone();
        let client = Client::new(config, move || ring.notify_one()).unwrap();
        client.listen([Filter::Uplink(None)]);
        let (sender, deliveries) = mpsc::unbounded_channel();
        let worker = client.clone();
        tokio::spawn(async move {
            let mut hands = Hands::default();
            loop {
                wake.notified().await;
                while hands.take(worker.mailbox(), 16) {
                    let hand_over = |delivery: Delivery<Infallible>| {
                        let Some(delivery) = worker.read(delivery) else { return true };
                        if let Delivery::Message(message) = &delivery {
                            if let Some(receipt) = message.receipt {
                                worker.acknowledge(receipt);
                            }
                            worker.count(1, 0);
                        }
                        // Nobody listens at the end of a test.
                        sender.send(delivery).is_ok()
                    };
                    while hands.next(hand_over) {}
                }
            }
        });
        Self { client, endpoint, deliveries }
    }

    pub(crate) async fn next(&mut self) -> Delivery<Infallible> {
        tokio::time::timeout(PATIENCE, self.deliveries.recv()).await.expect("nothing came").expect("consumer ended")
    }

    pub(crate) async fn message(&mut self) -> Incoming {
        loop {
            if let Delivery::Message(message) = self.next().await {
                return message;
            }
        }
    }

    pub(crate) async fn try_connect(&self) -> thingslink::Result<()> {
        self.client.connect(&self.endpoint, PATIENCE).await
    }

    pub(crate) async fn connect(&mut self) {
        self.try_connect().await.unwrap();
        assert!(matches!(self.next().await, Delivery::Connected { .. }));
    }
}
