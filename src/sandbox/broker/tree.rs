//! Who is subscribed to what: a tree over the levels of the filters.

use std::collections::HashMap;

use rumqttc::mqttbytes::QoS;

/// Subscriptions of many clients, found by topic. `K` names a client.
///
/// The levels stand side by side and name each other by number: nothing here goes down the tree by recursion, its end
/// included, however deep the filters of clients make it.
#[derive(Debug)]
pub(super) struct Tree<K> {
    /// The first one is the root.
    levels: Vec<Level<K>>,
    /// Numbers of levels that are not in use.
    free: Vec<usize>,
}

#[derive(Debug)]
struct Level<K> {
    here: Vec<(K, QoS)>,
    below: HashMap<String, usize>,
    /// The level above, and this one's name there; the root's own, and nothing.
    above: usize,
    name: String,
}

const ROOT: usize = 0;

impl<K> Level<K> {
    fn new(above: usize, name: &str) -> Self {
        Self { here: Vec::new(), below: HashMap::new(), above, name: name.to_owned() }
    }
}

impl<K> Default for Tree<K> {
    fn default() -> Self {
        Self { levels: vec![Level::new(ROOT, "")], free: Vec::new() }
    }
}

impl<K: Clone + PartialEq> Tree<K> {
    /// Subscribe, or change the level of a subscription.
    pub(super) fn insert(&mut self, filter: &str, client: K, qos: QoS) {
        let mut at = ROOT;
        for part in filter.split('/') {
            at = match self.levels[at].below.get(part) {
                Some(below) => *below,
                None => self.grow(at, part),
            };
        }
        let here = &mut self.levels[at].here;
        here.retain(|(known, _)| *known != client);
        here.push((client, qos));
    }

    fn grow(&mut self, above: usize, name: &str) -> usize {
        let level = Level::new(above, name);
        let at = if let Some(at) = self.free.pop() {
            self.levels[at] = level;
            at
        } else {
            self.levels.push(level);
            self.levels.len() - 1
        };
        self.levels[above].below.insert(name.to_owned(), at);
        at
    }

    /// End a subscription.
    pub(super) fn remove(&mut self, filter: &str, client: &K) {
        let mut at = ROOT;
        for part in filter.split('/') {
            let Some(below) = self.levels[at].below.get(part) else { return };
            at = *below;
        }
        self.end(at, client);
    }

    /// End all subscriptions of a client.
    pub(super) fn remove_client(&mut self, client: &K) {
        for at in 0..self.levels.len() {
            self.end(at, client);
        }
    }

    /// End a client's subscription at a level, and let go of the levels that nobody needs then.
    fn end(&mut self, mut at: usize, client: &K) {
        let here = &mut self.levels[at].here;
        let before = here.len();
        here.retain(|(known, _)| known != client);
        if here.len() == before {
            return;
        }
        while at != ROOT && self.levels[at].here.is_empty() && self.levels[at].below.is_empty() {
            let Level { above, name, .. } = std::mem::replace(&mut self.levels[at], Level::new(ROOT, ""));
            self.free.push(at);
            self.levels[above].below.remove(&name);
            at = above;
        }
    }

    /// Call `each` for every subscription that matches. A client with several is named several times.
    pub(super) fn matches(&self, topic: &str, mut each: impl FnMut(&K, QoS)) {
        let parts: Vec<_> = topic.split('/').collect();
        // Levels to look at, each with the number of the topic's parts above it.
        let mut open = vec![(ROOT, 0)];
        while let Some((at, depth)) = open.pop() {
            let level = &self.levels[at];
            // Wildcards at the first level do not match topics that begin with '$' (MQTT 3.1.1, 4.7.2).
            let hidden = depth == 0 && topic.starts_with('$');
            if !hidden && let Some(rest) = level.below.get("#") {
                self.levels[*rest].here.iter().for_each(|(client, qos)| each(client, *qos));
            }
            let Some(part) = parts.get(depth) else {
                level.here.iter().for_each(|(client, qos)| each(client, *qos));
                continue;
            };
            open.extend(level.below.get(*part).map(|below| (*below, depth + 1)));
            if !hidden {
                open.extend(level.below.get("+").map(|below| (*below, depth + 1)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tree: &Tree<u32>, topic: &str) -> Vec<u32> {
        let mut clients = Vec::new();
        tree.matches(topic, |client, _| clients.push(*client));
        clients.sort_unstable();
        clients
    }

    #[test]
    fn filters_match_as_the_protocol_says() {
        let mut tree = Tree::default();
        for (client, filter) in ["a/b", "a/+", "a/#", "#", "+/b", "a/b/c", "$SYS/#"].iter().enumerate() {
            tree.insert(filter, u32::try_from(client).unwrap(), QoS::AtMostOnce);
        }
        assert_eq!(found(&tree, "a/b"), [0, 1, 2, 3, 4]);
        assert_eq!(found(&tree, "a"), [2, 3]);
        assert_eq!(found(&tree, "a/b/c"), [2, 3, 5]);
        assert_eq!(found(&tree, "$SYS/x"), [6]);
    }

    #[test]
    fn subscriptions_end() {
        let mut tree = Tree::default();
        tree.insert("a/+", 1, QoS::AtMostOnce);
        tree.insert("a/+", 1, QoS::AtLeastOnce);
        tree.insert("a/b", 2, QoS::AtMostOnce);
        assert_eq!(found(&tree, "a/b"), [1, 2]);
        tree.remove("a/+", &1);
        assert_eq!(found(&tree, "a/b"), [2]);
        tree.remove_client(&2);
        assert!(tree.levels[ROOT].below.is_empty());
    }

    #[test]
    fn levels_are_used_again() {
        let mut tree = Tree::default();
        for round in 0..5 {
            tree.insert("a/b/c", round, QoS::AtMostOnce);
            tree.insert("a/x", round, QoS::AtMostOnce);
            tree.remove("a/b", &round);
            assert_eq!(found(&tree, "a/b/c"), [round]);
            tree.remove_client(&round);
            assert_eq!((found(&tree, "a/b/c"), tree.levels.len()), (vec![], 5));
        }
    }

    /// On a stack on which recursion would end early.
    #[test]
    fn depth_costs_no_stack() {
        let deep = "a/".repeat(100_000) + "#";
        let work = move || {
            let mut tree = Tree::default();
            for client in [1, 2, 3] {
                tree.insert(&deep, client, QoS::AtMostOnce);
            }
            assert_eq!(found(&tree, &deep.replace('#', "b/c")), [1, 2, 3]);
            tree.remove(&deep, &1);
            tree.remove_client(&2);
            assert_eq!(found(&tree, &deep.replace('#', "b")), [3]);
        };
        std::thread::Builder::new().stack_size(64 << 10).spawn(work).unwrap().join().unwrap();
    }
}
