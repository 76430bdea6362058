//! What comes while something older has yet to be delivered.

use std::collections::VecDeque;

use super::Delivery;
use crate::session::{Item, Mailbox, MailboxLimits};
use crate::sync::Mutex;

/// Messages that are held back, in their order. All else passes.
#[derive(Debug)]
pub(super) struct Backlog<O> {
    state: Mutex<State<O>>,
}

#[derive(Debug)]
struct State<O> {
    holds: bool,
    messages: VecDeque<Delivery<O>>,
    bytes: usize,
}

impl<O> Default for Backlog<O> {
    fn default() -> Self {
        Self { state: Mutex::new(State { holds: false, messages: VecDeque::new(), bytes: 0 }) }
    }
}

impl<O: Send + 'static> Backlog<O> {
    /// From now on messages are held back.
    pub(super) fn hold(&self) {
        self.state.lock().holds = true;
    }

    /// Deliver these, or hold them back; gives how many of the oldest had to go for them.
    pub(super) fn pass(&self, deliveries: Vec<Delivery<O>>, mailbox: &Mailbox<Delivery<O>>) -> usize {
        let mut state = self.state.lock();
        if !state.holds {
            // Under the lock, so that nothing is let go of between.
            mailbox.push(deliveries);
            return 0;
        }
        let (held, others): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(Delivery::is_message);
        state.bytes += held.iter().map(Item::weight).sum::<usize>();
        state.messages.extend(held);
        let MailboxLimits { messages, bytes, .. } = mailbox.limits();
        let mut dropped = 0;
        while state.messages.len() > 1
            && (state.messages.len() > messages || state.bytes > bytes)
            && let Some(oldest) = state.messages.pop_front()
        {
            state.bytes -= oldest.weight();
            dropped += 1;
        }
        if !others.is_empty() {
            mailbox.push(others);
        }
        dropped
    }

    /// Deliver so many of what was held back; tells whether that was all, and nothing is held back any more.
    pub(super) fn let_go(&self, most: usize, mailbox: &Mailbox<Delivery<O>>) -> bool {
        let mut state = self.state.lock();
        let count = state.messages.len().min(most);
        let gone: Vec<_> = state.messages.drain(..count).collect();
        state.bytes -= gone.iter().map(Item::weight).sum::<usize>();
        state.holds &= !state.messages.is_empty();
        if !gone.is_empty() {
            mailbox.push(gone);
        }
        !state.holds
    }

    /// Deliver what was held back first, as long as this holds of it; what comes goes on being held back.
    pub(super) fn let_go_while(&self, is_due: impl Fn(&Delivery<O>) -> bool, mailbox: &Mailbox<Delivery<O>>) {
        let mut state = self.state.lock();
        while state.messages.front().is_some_and(&is_due)
            && let Some(next) = state.messages.pop_front()
        {
            state.bytes -= next.weight();
            mailbox.push([next]);
        }
    }

    /// Nothing is held back any more, and what was is dropped; gives how many.
    pub(super) fn discard(&self) -> usize {
        let mut state = self.state.lock();
        state.holds = false;
        state.bytes = 0;
        std::mem::take(&mut state.messages).len()
    }

    /// How many messages are held back.
    pub(super) fn len(&self) -> usize {
        self.state.lock().messages.len()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;

    use super::*;
    use crate::client::Incoming;
    use crate::session::{Hands, Message, QoS};

    fn message(number: usize) -> Delivery<Infallible> {
        let (topic, payload) = (number.to_string(), Bytes::from_static(b"{}"));
        let message = Message { topic, payload, qos: QoS::AtMostOnce, retain: false, receipt: None };
        Delivery::Message(Incoming::from(message))
    }

    fn delivered(mailbox: &Mailbox<Delivery<Infallible>>) -> Vec<String> {
        let mut hands = Hands::default();
        let mut found = Vec::new();
        while hands.take(mailbox, 100) {
            while hands.next(|delivery| {
                found.push(match delivery {
                    Delivery::Message(message) => message.topic,
                    other => format!("{other:?}"),
                });
                true
            }) {}
        }
        found
    }

    #[test]
    fn messages_wait_in_their_order_and_news_pass() {
        let mailbox = Mailbox::new(MailboxLimits::default(), || {});
        let backlog = Backlog::default();
        assert_eq!(backlog.pass(vec![message(0)], &mailbox), 0);
        backlog.hold();
        assert_eq!(backlog.pass(vec![message(1), Delivery::Sent(7), message(2)], &mailbox), 0);
        assert_eq!((delivered(&mailbox), backlog.len()), (vec!["0".to_owned(), "Sent(7)".to_owned()], 2));
        assert!(!backlog.let_go(1, &mailbox), "one is left");
        assert_eq!(backlog.pass(vec![message(3)], &mailbox), 0);
        assert!(backlog.let_go(5, &mailbox));
        assert_eq!(backlog.pass(vec![message(4)], &mailbox), 0);
        assert_eq!(delivered(&mailbox), ["1", "2", "3", "4"]);
    }

    #[test]
    fn what_is_due_goes_and_the_rest_stays() {
        let mailbox = Mailbox::new(MailboxLimits::default(), || {});
        let backlog = Backlog::default();
        backlog.hold();
        backlog.pass((0..4).map(message).collect(), &mailbox);
        let is_due =
            |delivery: &Delivery<Infallible>| matches!(delivery, Delivery::Message(it) if it.topic.as_str() < "2");
        backlog.let_go_while(is_due, &mailbox);
        assert_eq!((delivered(&mailbox), backlog.len()), (vec!["0".to_owned(), "1".to_owned()], 2));
        backlog.pass(vec![message(4)], &mailbox);
        assert!(backlog.let_go(9, &mailbox));
        assert_eq!(delivered(&mailbox), ["2", "3", "4"]);
    }

    #[test]
    fn of_more_than_the_queue_s_bound_the_oldest_go() {
        let mailbox = Mailbox::new(MailboxLimits { messages: 2, ..MailboxLimits::default() }, || {});
        let backlog = Backlog::default();
        backlog.hold();
        assert_eq!(backlog.pass((0..5).map(message).collect(), &mailbox), 3);
        assert!(backlog.let_go(5, &mailbox));
        assert_eq!(delivered(&mailbox), ["3", "4"]);
        backlog.hold();
        assert_eq!(backlog.pass(vec![message(5)], &mailbox), 0);
        assert_eq!((backlog.discard(), backlog.len()), (1, 0));
    }
}
