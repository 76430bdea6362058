//! What others do to a device's queue while it is read and written anew: the network tells it, as of all downlinks.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use crate::dialect::json::Value;
use crate::dialect::lorawan::{Network, Step};
use crate::rpc::proto::v3::ApplicationDownlink;
use crate::sync::Mutex;

/// Queues that are written anew now.
#[derive(Debug, Default)]
pub(super) struct Races(Mutex<Vec<Weak<Race>>>);

/// What is told of a device's downlinks from before its queue is read until the network has taken the new one.
#[derive(Debug)]
pub(super) struct Race {
    dev_id: String,
    /// The downlink that goes in front.
    token: u64,
    told: Mutex<Vec<(Step, Vec<String>)>>,
    over: Notify,
}

impl Races {
    /// Listen, until what this gives is dropped.
    pub(super) fn begin(&self, dev_id: &str, token: u64) -> Arc<Race> {
        let (told, over) = (Mutex::default(), Notify::new());
        let race = Arc::new(Race { dev_id: dev_id.to_owned(), token, told, over });
        let mut all = self.0.lock();
        all.retain(|race| race.strong_count() > 0);
        all.push(Arc::downgrade(&race));
        race
    }

    /// An event came.
    pub(super) fn note(&self, dev_id: &str, step: Step, event: Value<'_>) {
        let mut all = self.0.lock();
        if all.is_empty() {
            return;
        }
        let ids = || {
            let ids = event.get("correlation_ids").into_iter().flat_map(Value::elements);
            ids.filter_map(|id| id.as_str().map(std::borrow::Cow::into_owned)).collect()
        };
        all.retain(|race| {
            let Some(race) = race.upgrade() else { return false };
            if race.dev_id != dev_id {
                return true;
            }
            let is_over = step == Step::Queued && Network::V3.tokens(event).any(|token| token == race.token);
            if is_over {
                race.over.notify_one();
            } else {
                race.told.lock().push((step, ids()));
            }
            !is_over
        });
    }
}

impl Race {
    /// Resolves when the network has told of the new queue, and so of all that was before it.
    pub(super) async fn over(&self) {
        self.over.notified().await;
    }

    /// How many of the downlinks that were read were sent before they were written, and so will be again; and how many came
    /// into the queue that were not read, and so are gone.
    pub(super) fn judge(&self, read: &[ApplicationDownlink]) -> (usize, usize) {
        let told = self.told.lock();
        let is = |item: &ApplicationDownlink, ids: &[String]| item.correlation_ids.iter().all(|id| ids.contains(id));
        let sent = |ids: &&Vec<String>| read.iter().any(|item| is(item, ids));
        let of = |wanted: Step| told.iter().filter(move |(step, _)| *step == wanted).map(|(_, ids)| ids);
        let twice = of(Step::Sent).filter(sent).count();
        let left_at_once = |ids: &Vec<String>| of(Step::Sent).any(|sent| sent.iter().any(|id| ids.contains(id)));
        let lost = of(Step::Queued).filter(|ids| !sent(ids) && !left_at_once(ids)).count();
        (twice, lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;
    use crate::dialect::lorawan::correlation_id;

    fn item(id: &str) -> ApplicationDownlink {
        ApplicationDownlink { correlation_ids: vec![id.to_owned()], ..ApplicationDownlink::default() }
    }

    fn note(races: &Races, dev_id: &str, step: Step, ids: &[&str]) {
        let text = format!(r#"{{"correlation_ids":{}}}"#, serde_json::to_string(ids).unwrap());
        races.note(dev_id, step, Document::parse(text.as_bytes()).unwrap().root());
    }

    #[tokio::test]
    async fn what_happens_before_the_new_queue_is_there_is_told_apart() {
        let races = Races::default();
        let race = races.begin("d-1", 7);
        note(&races, "d-2", Step::Sent, &["one"]);
        note(&races, "d-1", Step::Sent, &["as:x", "one"]);
        note(&races, "d-1", Step::Queued, &["other"]);
        note(&races, "d-1", Step::Queued, &["quick"]);
        note(&races, "d-1", Step::Sent, &["quick"]);
        note(&races, "d-1", Step::Queued, &[&correlation_id(7)]);
        race.over().await;
        // Of the new queue.
        note(&races, "d-1", Step::Queued, &["one"]);
        note(&races, "d-1", Step::Sent, &["two"]);
        assert_eq!(race.judge(&[item("one"), item("two")]), (1, 1));
        assert!(races.0.lock().is_empty(), "nobody listens any more");
    }

    #[test]
    fn nobody_listens_for_who_has_gone() {
        let races = Races::default();
        drop(races.begin("d-1", 7));
        note(&races, "d-1", Step::Sent, &["one"]);
        assert!(races.0.lock().is_empty());
    }
}
