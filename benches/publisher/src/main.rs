//! Publishes uplinks into a stream with async-nats alone: what the bridge is measured beside, and what fills streams for
//! workers. `publisher ADDRESS APPLICATION COUNT DEVICES WINDOW ROUND < TEMPLATE`, where the template is the body of
//! an uplink with `@DEVICE@` and `@COUNTER@` in it, and the counters begin with ROUND. Prints a line of JSON.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::message::PublishMessage;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How long the server may take for one acknowledgement.
const PATIENCE: Duration = Duration::from_secs(30);

struct Run {
    app: String,
    count: u64,
    devices: u64,
    window: usize,
    round: u64,
    template: String,
}

impl Run {
    /// The uplink of that number: subject, message ID, body.
    fn uplink(&self, number: u64) -> (String, String, String) {
        let (device, counter) = (format!("sensor-{:07}", number % self.devices), self.round + number / self.devices);
        let body = self.template.replace("@DEVICE@", &device).replace("@COUNTER@", &counter.to_string());
        (format!("things.{}.{device}.up", self.app), format!("{device}/up/{counter}"), body)
    }

    async fn publish(&self, client: async_nats::Client) -> Outcome<(u64, u64, f64)> {
        let context = ContextBuilder::new()
            .timeout(PATIENCE)
            .ack_timeout(PATIENCE)
            .max_ack_inflight(self.window)
            .backpressure_on_inflight(true)
            .build(client);
        let (mut stored, mut duplicates) = (0, 0);
        let mut acks = FuturesUnordered::new();
        let begun = Instant::now();
        for number in 0..self.count {
            let (subject, id, body) = self.uplink(number);
            let message = PublishMessage::build().payload(body.into()).message_id(&id);
            acks.push(context.send_publish(subject, message).await?.into_future());
            if acks.len() >= self.window
                && let Some(ack) = acks.next().await
            {
                stored += 1;
                duplicates += u64::from(ack?.duplicate);
            }
        }
        while let Some(ack) = acks.next().await {
            stored += 1;
            duplicates += u64::from(ack?.duplicate);
        }
        Ok((stored, duplicates, begun.elapsed().as_secs_f64()))
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("ADDRESS APPLICATION COUNT DEVICES WINDOW ROUND < TEMPLATE");
    let (address, app) = (next()?, next()?);
    let mut run = Run {
        app,
        count: next()?.parse()?,
        devices: next()?.parse()?,
        window: next()?.parse()?,
        round: next()?.parse()?,
        template: String::new(),
    };
    std::io::stdin().read_to_string(&mut run.template)?;
    let client = async_nats::connect(address).await?;
    let (stored, duplicates, seconds) = run.publish(client).await?;
    let per_s = stored as f64 / seconds;
    writeln!(std::io::stdout(), "{{\"per_s\":{per_s:.1},\"stored\":{stored},\"duplicates\":{duplicates}}}")?;
    Ok(())
}
