//! How many messages a member has in hand: enough that it never waits for the server, and few enough that others of its
//! group are not idle meanwhile, and that little is done twice when it dies.

use std::time::Duration;

/// A message that is settled this soon after it came has not waited for others.
const QUICK: Duration = Duration::from_millis(50);
/// A message that is settled this late has waited too long.
const SLOW: Duration = Duration::from_millis(250);

/// It grows by one with each message that is settled quickly, and is halved by one that was not.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    most: usize,
}

impl Window {
    pub(super) fn new(most: usize) -> Self {
        Self { size: 2.min(most), most }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// A message was settled, so long after it came.
    pub(super) fn settled(&mut self, age: Duration) {
        if age <= QUICK {
            self.size = (self.size + 1).min(self.most);
        } else if age >= SLOW {
            self.size = (self.size / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_callbacks_get_more_and_slow_ones_less() {
        let mut window = Window::new(100);
        for _ in 0..1000 {
            window.settled(Duration::from_millis(1));
        }
        assert_eq!(window.size(), 100);
        window.settled(Duration::from_millis(100));
        assert_eq!(window.size(), 100, "neither quick nor slow");
        for _ in 0..20 {
            window.settled(Duration::from_secs(5));
        }
        assert_eq!(window.size(), 1, "others of the group get the rest");
    }
}
