//! A client's first session while it is being opened.

use super::line::Inner;
use super::platform::Platform;

/// A first session that is being opened. If that is given up in the middle, by `close` or by Ctrl-C, there is none.
pub(super) struct Beginning<'i, P: Platform>(&'i Inner<P>);

impl<'i, P: Platform> Beginning<'i, P> {
    pub(super) fn of(client: &'i Inner<P>) -> Self {
        Self(client)
    }

    /// It stands, or it failed.
    pub(super) fn ended(self) {
        std::mem::forget(self);
    }
}

impl<P: Platform> Drop for Beginning<'_, P> {
    fn drop(&mut self) {
        self.0.online.send_replace(false);
        self.0.over();
    }
}
