//! Grouping and splitting of telemetry and attributes (TB 5).
//!
//! Generic over what a value is, so that messages on their way out, already encoded, and Python's own values are cut by
//! the same rules. The sizes are the original's estimates: characters of `str(key)` and `str(value)`.

/// One key and its value.
#[derive(Clone, Debug)]
pub struct Field<T> {
    /// The key; equal keys of a group are one.
    pub name: String,
    /// Characters of key and value, as the original counts them.
    pub size: usize,
    /// The value, in whatever form it is wanted back.
    pub item: T,
}

/// What an entry of a telemetry list is stamped with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp<S> {
    /// Entries of the same identity make a group.
    pub identity: String,
    /// Characters of time and metadata.
    pub size: usize,
    /// Time and metadata, in whatever form they are wanted back.
    pub item: S,
}

/// One entry of a telemetry list, or attributes.
#[derive(Clone, Debug)]
pub struct Entry<T, S> {
    /// Time and metadata; `None` leaves the time to the server.
    pub stamp: Option<Stamp<S>>,
    /// Its values.
    pub fields: Vec<Field<T>>,
}

/// One entry of a message.
#[derive(Clone, Debug)]
pub struct Chunk<T, S> {
    /// Time and metadata.
    pub stamp: Option<S>,
    /// Keys and values.
    pub fields: Vec<(String, T)>,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Part<T, S> {
    /// Its entries.
    pub chunks: Vec<Chunk<T, S>>,
    /// Values in it.
    pub points: usize,
}

/// Estimated bytes of an entry with a time, beyond its texts.
const STAMPED: usize = 40;
/// The same for one without.
const PLAIN: usize = 20;
/// Estimated bytes of a value, beyond its texts.
const PUNCTUATION: usize = 4;

struct Group<T, S> {
    stamp: Option<Stamp<S>>,
    fields: Vec<Field<T>>,
    size: usize,
}

/// Cut entries into messages of less than `max_points` values (0 for any number) and at most about `max_bytes` bytes. A
/// single value over the limits goes alone.
#[must_use]
pub fn split<T, S: Clone>(entries: Vec<Entry<T, S>>, max_points: usize, max_bytes: usize) -> Vec<Part<T, S>> {
    let mut groups: Vec<Group<T, S>> = Vec::new();
    let mut parts = Parts { done: Vec::new(), chunks: Vec::new(), points: 0, size: 0, max_points, max_bytes };
    for entry in entries {
        let identity = |group: &Group<T, S>| {
            group.stamp.as_ref().map(|stamp| &stamp.identity) == entry.stamp.as_ref().map(|stamp| &stamp.identity)
        };
        let mut at = groups.iter().position(identity);
        for field in entry.fields {
            let size = field.size + PUNCTUATION;
            if let Some(full) = at.filter(|at| {
                let group = &groups[*at];
                (max_points > 0 && group.fields.len() >= max_points) || group.size + size > max_bytes
            }) {
                parts.take(groups.remove(full));
                at = None;
            }
            let at = *at.get_or_insert_with(|| {
                groups.push(Group { stamp: entry.stamp.clone(), fields: Vec::new(), size: 0 });
                groups.len() - 1
            });
            let group = &mut groups[at];
            group.size += size;
            match group.fields.iter_mut().find(|known| known.name == field.name) {
                Some(known) => *known = field,
                None => group.fields.push(field),
            }
        }
    }
    for group in groups {
        parts.take(group);
    }
    parts.close();
    parts.done
}

/// The messages as they come about.
struct Parts<T, S> {
    done: Vec<Part<T, S>>,
    chunks: Vec<Chunk<T, S>>,
    points: usize,
    size: usize,
    max_points: usize,
    max_bytes: usize,
}

impl<T, S: Clone> Parts<T, S> {
    fn take(&mut self, group: Group<T, S>) {
        let (stamp_size, stamp) = match group.stamp {
            Some(stamp) => (stamp.size + STAMPED, Some(stamp.item)),
            None => (PLAIN, None),
        };
        let run = if self.max_points == 0 { usize::MAX } else { self.max_points };
        let mut fields = group.fields.into_iter().peekable();
        while fields.peek().is_some() {
            let run: Vec<_> = fields.by_ref().take(run).collect();
            let size = stamp_size + run.iter().map(|field| field.size).sum::<usize>();
            let fields = run.into_iter().map(|field| (field.name, field.item)).collect();
            self.add(Chunk { stamp: stamp.clone(), fields }, size);
        }
    }

    fn add(&mut self, chunk: Chunk<T, S>, size: usize) {
        let points = chunk.fields.len();
        let full = |count: usize| self.max_points > 0 && count >= self.max_points;
        let alone = full(points) || size > self.max_bytes;
        if alone || full(self.points + points) || self.size + size > self.max_bytes {
            self.close();
        }
        self.chunks.push(chunk);
        self.points += points;
        self.size += size;
        if alone {
            self.close();
        }
    }

    fn close(&mut self) {
        if !self.chunks.is_empty() {
            self.done.push(Part { chunks: std::mem::take(&mut self.chunks), points: self.points });
        }
        (self.points, self.size) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(ts: Option<u32>, fields: &[(&str, usize)]) -> Entry<usize, u32> {
        let stamp = ts.map(|ts| Stamp { identity: ts.to_string(), size: ts.to_string().len(), item: ts });
        let field = |(name, length): &(&str, usize)| Field {
            name: (*name).to_owned(),
            size: name.len() + length,
            item: *length,
        };
        Entry { stamp, fields: fields.iter().map(field).collect() }
    }

    fn points(entries: Vec<Entry<usize, u32>>, max_points: usize, max_bytes: usize) -> Vec<usize> {
        split(entries, max_points, max_bytes).iter().map(|part| part.points).collect()
    }

    const KEYS: [&str; 12] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11"];

    fn keys(count: usize, length: usize) -> Vec<(&'static str, usize)> {
        KEYS[..count].iter().map(|key| (*key, length)).collect()
    }

    /// The vectors of TB 5.
    #[test]
    fn messages_are_cut_where_the_original_cuts_them() {
        let one = |ts| entry(Some(ts), &[("k", 1)]);
        let long = |ts| entry(Some(ts), &[("k", 3000)]);
        assert_eq!(points(vec![entry(Some(1), &keys(12, 1))], 5, 1000), [5, 5, 2]);
        let both = vec![entry(Some(1), &[("a", 1), ("b", 1), ("c", 1)]), entry(Some(1), &[("d", 1), ("e", 1)])];
        assert_eq!(points(both, 3, 1000), [3, 2]);
        let sizes = vec![
            entry(Some(1), &[("a", 10), ("b", 10)]),
            entry(Some(1), &[("c", 100)]),
            entry(Some(1), &[("d", 10), ("e", 10)]),
        ];
        assert_eq!(points(sizes, 10, 64), [2, 1, 2]);
        assert_eq!(points(vec![entry(Some(1), &keys(5, 50))], 10, 100), [1; 5]);
        assert_eq!(points(vec![entry(None, &keys(9, 1))], 8, 8196), [8, 1]);
        assert_eq!(points(vec![entry(None, &keys(3, 1)), entry(Some(5), &keys(5, 1))], 8, 8196), [3, 5]);
        assert_eq!(points((1..=5).map(one).collect(), 2, 8196), [1; 5]);
        assert_eq!(points((1..=4).map(long).collect(), 0, 8196), [2, 2]);
    }

    #[test]
    fn of_equal_keys_of_a_group_the_last_value_stays_at_the_first_place() {
        let parts = split(vec![entry(None, &[("a", 1), ("b", 2)]), entry(None, &[("a", 3)])], 0, 8196);
        assert_eq!(parts[0].chunks[0].fields, [("a".to_owned(), 3), ("b".to_owned(), 2)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled_and_no_part_is_over_the_limits(
            lists in prop::collection::vec((prop::option::of(1u32..4), prop::collection::vec(0usize..60, 0..20)), 0..12),
            max_points in 0usize..9,
            max_bytes in 30usize..400,
        ) {
            // Every key once, so that what comes out can be counted.
            let mut number = 0;
            let mut expected = Vec::new();
            let entries: Vec<_> = lists
                .iter()
                .map(|(ts, lengths)| {
                    let named: Vec<_> = lengths.iter().map(|length| { number += 1; (format!("k{number}"), *length) }).collect();
                    expected.extend(named.iter().map(|(name, length)| (*ts, name.clone(), *length)));
                    let fields: Vec<_> = named.iter().map(|(name, length)| (name.as_str(), *length)).collect();
                    entry(*ts, &fields)
                })
                .collect();
            let parts = split(entries, max_points, max_bytes);
            let mut found = Vec::new();
            for part in &parts {
                let count: usize = part.chunks.iter().map(|chunk| chunk.fields.len()).sum();
                prop_assert_eq!(count, part.points);
                prop_assert!(count > 0);
                if max_points > 0 {
                    prop_assert!(count <= max_points);
                }
                let mut size = 0;
                for chunk in &part.chunks {
                    size += if chunk.stamp.is_some() { STAMPED + 1 } else { PLAIN };
                    for (name, length) in &chunk.fields {
                        size += name.len() + length;
                        found.push((chunk.stamp, name.clone(), *length));
                    }
                }
                // Over the bound only what cannot be cut: one group's run, whose own rule counts differently.
                prop_assert!(size <= max_bytes || part.chunks.len() == 1);
            }
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
