//! Who is subscribed to what: a tree over the levels of the filters.

use std::collections::HashMap;

use rumqttc::mqttbytes::QoS;

/// Subscriptions of many clients, found by topic. `K` names a client.
#[derive(Debug)]
pub(super) struct Tree<K> {
    root: Level<K>,
}

#[derive(Debug)]
struct Level<K> {
    here: Vec<(K, QoS)>,
    below: HashMap<String, Level<K>>,
}

impl<K> Default for Level<K> {
    fn default() -> Self {
        Self { here: Vec::new(), below: HashMap::new() }
    }
}

impl<K> Default for Tree<K> {
    fn default() -> Self {
        Self { root: Level::default() }
    }
}

impl<K: Clone + PartialEq> Tree<K> {
    /// Subscribe, or change the level of a subscription.
    pub(super) fn insert(&mut self, filter: &str, client: K, qos: QoS) {
        let mut level = &mut self.root;
        for part in filter.split('/') {
            level = level.below.entry(part.to_owned()).or_default();
        }
        level.here.retain(|(known, _)| *known != client);
        level.here.push((client, qos));
    }

    /// End a subscription.
    pub(super) fn remove(&mut self, filter: &str, client: &K) {
        remove(&mut self.root, &mut filter.split('/'), client);
    }

    /// End all subscriptions of a client.
    pub(super) fn remove_client(&mut self, client: &K) {
        forget(&mut self.root, client);
    }

    /// Call `each` for every subscription that matches. A client with several is named several times.
    pub(super) fn matches(&self, topic: &str, mut each: impl FnMut(&K, QoS)) {
        let parts: Vec<_> = topic.split('/').collect();
        walk(&self.root, &parts, topic.starts_with('$'), &mut each);
    }
}

fn remove<'p, K: PartialEq>(level: &mut Level<K>, parts: &mut impl Iterator<Item = &'p str>, client: &K) {
    match parts.next() {
        None => level.here.retain(|(known, _)| known != client),
        Some(part) => {
            if let Some(below) = level.below.get_mut(part) {
                remove(below, parts, client);
                if below.here.is_empty() && below.below.is_empty() {
                    level.below.remove(part);
                }
            }
        }
    }
}

fn forget<K: PartialEq>(level: &mut Level<K>, client: &K) {
    level.here.retain(|(known, _)| known != client);
    level.below.retain(|_, below| {
        forget(below, client);
        !below.here.is_empty() || !below.below.is_empty()
    });
}

fn walk<K>(level: &Level<K>, parts: &[&str], hidden: bool, each: &mut impl FnMut(&K, QoS)) {
    // Wildcards at the first level do not match topics that begin with '$' (MQTT 3.1.1, 4.7.2).
    if !hidden && let Some(rest) = level.below.get("#") {
        rest.here.iter().for_each(|(client, qos)| each(client, *qos));
    }
    let Some((first, others)) = parts.split_first() else {
        level.here.iter().for_each(|(client, qos)| each(client, *qos));
        return;
    };
    if let Some(below) = level.below.get(*first) {
        walk(below, others, false, each);
    }
    if !hidden && let Some(below) = level.below.get("+") {
        walk(below, others, false, each);
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
        assert!(tree.root.below.is_empty());
    }
}
