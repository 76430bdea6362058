//! What the program wants of a client, by its last call of `connect` or `close`.

use tokio::sync::watch;

/// The wishes of a client, one after the other.
#[derive(Debug)]
pub(super) struct Wishes(watch::Sender<Wish>);

#[derive(Clone, Copy, Debug)]
struct Wish {
    serial: u64,
    /// Closed, or connected.
    closed: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self(watch::Sender::new(Wish { serial: 0, closed: true }))
    }
}

impl Wishes {
    /// One more, from now on the last one. `taken` is called before anybody else can wish something.
    pub(super) fn add(&self, closed: bool, taken: impl FnOnce()) -> Call {
        let mut serial = 0;
        self.0.send_modify(|wish| {
            *wish = Wish { serial: wish.serial + 1, closed };
            serial = wish.serial;
            taken();
        });
        Call { serial, wishes: self.0.subscribe() }
    }
}

/// The wish of one call, which later ones overtake.
#[derive(Debug)]
pub(super) struct Call {
    /// Its number: later wishes have greater ones.
    pub(super) serial: u64,
    wishes: watch::Receiver<Wish>,
}

impl Call {
    /// Resolves when a later call wants the client closed, or connected.
    pub(super) async fn overtaken(&self, closed: bool) {
        let mut wishes = self.wishes.clone();
        let later = |wish: &Wish| wish.serial > self.serial && wish.closed == closed;
        if wishes.wait_for(later).await.is_err() {
            // The client is gone, and nobody wishes anything any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_later_wish_of_the_other_kind_overtakes() {
        let wishes = Wishes::default();
        let connect = wishes.add(false, || ());
        let again = wishes.add(false, || ());
        let none = tokio::time::timeout(Duration::from_secs(1), connect.overtaken(true)).await;
        assert!(none.is_err(), "nobody wants it closed");
        let close = wishes.add(true, || ());
        again.overtaken(true).await;
        assert!(close.serial > again.serial);
        let none = tokio::time::timeout(Duration::from_secs(1), close.overtaken(false)).await;
        assert!(none.is_err(), "connect was asked before");
    }
}
