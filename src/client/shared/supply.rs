//! What is asked of the server: messages of one consumer that all members share, or of lanes.

use async_nats::Subject;
use tokio::time::Instant;

use super::consumer::PULL;
use super::lanes::Lanes;

/// How long nothing is asked for after the server has refused to give.
pub(super) const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
/// How long after a lost connection the others are heard. They connect anew at about the same time.
pub(super) const OTHERS: std::time::Duration = std::time::Duration::from_secs(1);
/// What a pull may be late by.
const LATE: std::time::Duration = std::time::Duration::from_secs(2);

/// Where messages come from.
#[derive(Debug)]
pub(super) enum Supply {
    /// One consumer for the group.
    Common(Pulls),
    /// One for each lane.
    Lanes(Lanes),
}

impl Supply {
    /// How many messages may come that were asked for.
    pub(super) fn outstanding(&self) -> usize {
        match self {
            Self::Common(pulls) => pulls.outstanding,
            Self::Lanes(lanes) => lanes.asked(),
        }
    }
}

/// Messages of one consumer that were asked for and have not come.
#[derive(Debug)]
pub(super) struct Pulls {
    outstanding: usize,
    /// Until when the last of them may come.
    until: Instant,
    paused_until: Option<Instant>,
}

impl Default for Pulls {
    fn default() -> Self {
        Self { outstanding: 0, until: Instant::now(), paused_until: None }
    }
}

impl Pulls {
    /// How many to ask for now, when so many are in hand and so many may be.
    pub(super) fn ask(&mut self, in_hand: usize, window: usize) -> Option<usize> {
        let now = Instant::now();
        if self.until <= now {
            self.outstanding = 0;
        }
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        self.paused_until = None;
        let room = window.saturating_sub(in_hand + self.outstanding);
        // By halves, since a request for each message would cost as much as the message.
        if room == 0 || (self.outstanding > 0 && room < window.div_ceil(2)) {
            return None;
        }
        self.outstanding += room;
        self.until = now + PULL + LATE;
        Some(room)
    }

    pub(super) fn came(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
    }

    /// The server ends a request of which so many messages have not come; all of them, where it does not say.
    pub(super) fn ended(&mut self, left: Option<usize>, refused: bool) {
        self.outstanding = left.map_or(0, |left| self.outstanding.saturating_sub(left));
        if refused {
            self.paused_until = Some(Instant::now() + PAUSE);
        }
    }

    /// The connection is another one: the server knows nothing of what was asked. Nothing is asked for until the others of
    /// the group have told what they have handled.
    pub(super) fn forget(&mut self) {
        self.outstanding = 0;
        self.paused_until = Some(Instant::now() + OTHERS);
    }
}

/// What a status message is about: the last token of the subject that it came on.
pub(super) fn lane_of(subject: &Subject) -> Option<u16> {
    subject.rsplit('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn messages_are_asked_for_by_halves_of_the_window() {
        let mut pulls = Pulls::default();
        assert_eq!(pulls.ask(0, 8), Some(8));
        assert_eq!(pulls.ask(0, 8), None);
        for _ in 0..3 {
            pulls.came();
        }
        assert_eq!(pulls.ask(0, 8), None, "three are free");
        pulls.came();
        assert_eq!(pulls.ask(0, 8), Some(4));
        assert_eq!(pulls.ask(8, 8), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_is_asked_for_again() {
        let mut pulls = Pulls::default();
        pulls.ask(0, 4);
        tokio::time::advance(PULL + LATE).await;
        assert_eq!(pulls.ask(0, 4), Some(4));
        pulls.ended(None, true);
        assert_eq!(pulls.ask(0, 4), None, "the server has just refused");
        tokio::time::advance(PAUSE).await;
        assert_eq!(pulls.ask(0, 4), Some(4));
        pulls.forget();
        assert_eq!(pulls.ask(0, 4), None, "the others are heard first");
        tokio::time::advance(OTHERS).await;
        assert_eq!(pulls.ask(0, 4), Some(4));
    }
}
