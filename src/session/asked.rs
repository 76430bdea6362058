//! What the server was asked to subscribe to, and what it has not answered. Pure: the caller brings the time.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::QoS;
use super::packet::Malformed;
use crate::dialect::mqtt;

/// A filter and the QoS that it is asked for at.
pub(super) type Wish = (String, QoS);

/// The subscriptions of one connection.
#[derive(Debug)]
pub(super) struct Asked {
    /// Asked for and not withdrawn.
    standing: Vec<Wish>,
    open: VecDeque<Request>,
    /// Filters that the server refused and nobody was told of.
    refused: Vec<String>,
    /// How long the answer to a subscription may take.
    patience: Duration,
    /// Since when nothing is read: an answer cannot be seen, and the time does not count.
    deaf: Option<Instant>,
}

/// A subscription or its withdrawal that the server has not answered.
#[derive(Debug)]
struct Request {
    mid: u16,
    filters: Vec<Wish>,
    /// When the connection counts as lost over it; never over a withdrawal.
    until: Option<Instant>,
}

impl Asked {
    pub(super) fn new(patience: Duration) -> Self {
        Self { standing: Vec::new(), open: VecDeque::new(), refused: Vec::new(), patience, deaf: None }
    }

    /// What must be asked for, and what withdrawn, to get what is wanted; from now on it counts as asked for.
    pub(super) fn want(&mut self, wanted: Vec<Wish>) -> (Vec<Wish>, Vec<Wish>) {
        let more = without(&wanted, &self.standing);
        let fewer = without(&self.standing, &wanted);
        self.standing = wanted;
        (more, fewer)
    }

    /// A subscription was requested.
    pub(super) fn subscribing(&mut self, mid: u16, filters: Vec<Wish>, now: Instant) {
        self.open.push_back(Request { mid, filters, until: Some(now + self.patience) });
    }

    /// A withdrawal was requested.
    pub(super) fn unsubscribing(&mut self, mid: u16, filters: Vec<Wish>) {
        self.open.push_back(Request { mid, filters, until: None });
    }

    /// Whether everything is answered.
    pub(super) fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// A subscription is answered. Tells whether it was one of ours.
    pub(super) fn subscribed(&mut self, mid: u16, codes: &[u8]) -> Result<bool, Malformed> {
        let Some(request) = self.answered(mid) else { return Ok(false) };
        if request.filters.len() != codes.len() {
            return Err(Malformed::Filters);
        }
        for ((filter, _), code) in request.filters.into_iter().zip(codes) {
            if mqtt::is_refusal(*code) {
                tracing::error!(%filter, code, reason = mqtt::reason(*code), "the server refused the subscription");
                self.refused.push(filter);
            }
        }
        Ok(true)
    }

    /// A withdrawal is answered. Tells whether it was one of ours.
    pub(super) fn unsubscribed(&mut self, mid: u16) -> bool {
        self.answered(mid).is_some()
    }

    fn answered(&mut self, mid: u16) -> Option<Request> {
        let at = self.open.iter().position(|request| request.mid == mid)?;
        self.open.remove(at)
    }

    /// Whether nothing is left of what was asked for.
    pub(super) fn is_all_refused(&self) -> bool {
        !self.standing.is_empty() && self.standing.iter().all(|(filter, _)| self.refused.contains(filter))
    }

    /// The filters that were refused since the last time.
    pub(super) fn take_refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    /// Reading stops or goes on.
    pub(super) fn set_deaf(&mut self, deaf: bool, now: Instant) {
        match (self.deaf, deaf) {
            (None, true) => self.deaf = Some(now),
            (Some(since), false) => {
                let pause = now - since;
                for until in self.open.iter_mut().filter_map(|request| request.until.as_mut()) {
                    *until += pause;
                }
                self.deaf = None;
            }
            _ => {}
        }
    }

    /// Whether nothing is read.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.is_some()
    }

    /// When a subscription must be answered at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.deaf.is_some() {
            return None;
        }
        self.open.iter().filter_map(|request| request.until).min()
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The IDs that are in use.
    pub(super) fn mids(&self) -> impl Iterator<Item = u16> {
        self.open.iter().map(|request| request.mid)
    }
}

/// The filters that are not among `known`, in order.
fn without(filters: &[Wish], known: &[Wish]) -> Vec<Wish> {
    let known: HashSet<&str> = known.iter().map(|(filter, _)| filter.as_str()).collect();
    filters.iter().filter(|(filter, _)| !known.contains(filter.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wishes(filters: &[&str]) -> Vec<Wish> {
        filters.iter().map(|filter| ((*filter).to_owned(), QoS::AtMostOnce)).collect()
    }

    #[test]
    fn only_the_difference_is_asked_for() {
        let mut asked = Asked::new(SECOND);
        assert_eq!(asked.want(wishes(&["a", "b"])), (wishes(&["a", "b"]), vec![]));
        assert_eq!(asked.want(wishes(&["b", "c"])), (wishes(&["c"]), wishes(&["a"])));
        assert_eq!(asked.want(wishes(&["c", "b"])), (vec![], vec![]));
    }

    #[test]
    fn the_time_for_an_answer_runs_only_while_somebody_reads() {
        let start = Instant::now();
        let mut asked = Asked::new(10 * SECOND);
        asked.subscribing(1, wishes(&["a"]), start);
        assert_eq!(asked.due(), Some(start + 10 * SECOND));
        asked.set_deaf(true, start + 4 * SECOND);
        asked.set_deaf(true, start + 90 * SECOND);
        assert_eq!(asked.due(), None);
        asked.set_deaf(false, start + 100 * SECOND);
        assert_eq!(asked.due(), Some(start + 106 * SECOND), "6 of its 10 seconds are left");
        assert!(asked.subscribed(1, &[0]).unwrap() && asked.due().is_none());
    }

    #[test]
    fn a_withdrawal_may_take_any_time() {
        let mut asked = Asked::new(SECOND);
        asked.unsubscribing(1, wishes(&["a"]));
        assert!(asked.due().is_none() && !asked.is_settled());
        assert!(asked.unsubscribed(1) && asked.is_settled() && !asked.unsubscribed(1));
    }

    #[test]
    fn refusals_are_kept_until_they_are_told() {
        let mut asked = Asked::new(SECOND);
        let (more, _) = asked.want(wishes(&["a", "b"]));
        asked.subscribing(1, more, Instant::now());
        asked.subscribed(1, &[128, 0]).unwrap();
        assert!(!asked.is_all_refused());
        assert_eq!(asked.take_refused(), ["a"]);
        asked.want(wishes(&["c"]));
        asked.subscribing(2, wishes(&["c"]), Instant::now());
        asked.subscribed(2, &[135]).unwrap();
        assert!(asked.is_all_refused());
        asked.subscribing(3, wishes(&["c"]), Instant::now());
        assert!(matches!(asked.subscribed(3, &[0, 0]), Err(Malformed::Filters)));
    }
}
