//! Whether common work gets on.

/// Looks now and then whether anything is done while common work waits.
pub(super) struct Watch {
    state: State,
    /// How far all had come when it looked last.
    progress: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody looks.
    Nobody,
    Looking,
    /// Nothing moves: those who are at work will not come soon.
    Stuck,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { state: State::Nobody, progress: 0 }
    }

    /// Look from now on. Tells whether nobody did so far.
    pub(super) fn begin(&mut self) -> bool {
        let begins = self.state == State::Nobody;
        if begins {
            self.state = State::Looking;
        }
        begins
    }

    /// Look once, `progress` being a measure of all that is done. Hands that are `entering` show that more of them would
    /// not help: they wait for the interpreter.
    pub(super) fn look(&mut self, progress: u64, entering: usize) {
        let before = std::mem::replace(&mut self.progress, progress);
        let stuck = before == progress && entering == 0;
        self.state = if stuck { State::Stuck } else { State::Looking };
    }

    /// Something has moved since.
    pub(super) fn moved(&mut self) {
        if self.is_stuck() {
            self.state = State::Looking;
        }
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.state == State::Stuck
    }

    /// Look no more.
    pub(super) fn end(&mut self) {
        self.state = State::Nobody;
    }
}
