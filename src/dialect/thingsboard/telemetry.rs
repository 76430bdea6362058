//! Grouping and splitting of telemetry and attributes (TB 5).
//!
//! Generic over what a value is, so that messages on their way out, already encoded, and Python's own values are cut by
//! the same rules. Sizes are the original's estimates, characters of `str(key)` and `str(value)`, as long as nobody has said
//! what the server takes; then they are the bytes that are written.

/// One key and its value.
#[derive(Clone, Debug)]
pub struct Field<T> {
    /// The key; equal keys of a group are one.
    pub name: String,
    /// Size of key and value, counted as the [`Scale`] asks for.
    pub size: usize,
    /// The value, in whatever form it is wanted back.
    pub item: T,
}

/// What an entry of a telemetry list is stamped with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp<S> {
    /// Entries of the same identity make a group.
    pub identity: String,
    /// Size of time and metadata, counted in the same way.
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

/// How the size of a message comes about.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// What an entry with a time adds to the sizes of time and metadata.
    stamped: usize,
    /// What one without adds.
    plain: usize,
    /// What a value adds to the sizes of its group.
    value_of_group: usize,
    /// What it adds to those of its message.
    value: usize,
    /// What a group begins with beyond its entry; `None` if the entry is not counted there.
    group: Option<usize>,
    /// What a message begins with.
    message: usize,
}

impl Scale {
    /// The original's: sizes are characters.
    pub const ESTIMATED: Self = Self { stamped: 40, plain: 20, value_of_group: 4, value: 0, group: None, message: 0 };

    /// As it is written: sizes are bytes, with the colon between key and value, and with all that is around the values of
    /// an entry with a time. `around` are the bytes around the entries of a message.
    #[must_use]
    pub fn exact(around: usize) -> Self {
        const COMMA: usize = 1;
        Self {
            stamped: COMMA,
            plain: "{}".len() + COMMA,
            value_of_group: COMMA,
            value: COMMA,
            group: Some(around),
            message: around,
        }
    }

    fn entry<S>(&self, stamp: Option<&Stamp<S>>) -> usize {
        stamp.map_or(self.plain, |stamp| stamp.size + self.stamped)
    }
}

struct Group<T, S> {
    stamp: Option<Stamp<S>>,
    fields: Vec<Field<T>>,
    size: usize,
}

/// Cut entries into messages of less than `max_points` values (0 for any number) and at most `max_bytes` bytes, by this
/// scale. A single value over the limits goes alone.
#[must_use]
pub fn split<T, S: Clone>(
    entries: Vec<Entry<T, S>>,
    max_points: usize,
    max_bytes: usize,
    scale: Scale,
) -> Vec<Part<T, S>> {
    let mut groups: Vec<Group<T, S>> = Vec::new();
    let (done, chunks, size) = (Vec::new(), Vec::new(), scale.message);
    let mut parts = Parts { done, chunks, points: 0, size, max_points, max_bytes, scale };
    for entry in entries {
        let identity = |group: &Group<T, S>| {
            group.stamp.as_ref().map(|stamp| &stamp.identity) == entry.stamp.as_ref().map(|stamp| &stamp.identity)
        };
        let mut at = groups.iter().position(identity);
        for field in entry.fields {
            let size = field.size + scale.value_of_group;
            if let Some(full) = at.filter(|at| {
                let group = &groups[*at];
                (max_points > 0 && group.fields.len() >= max_points) || group.size + size > max_bytes
            }) {
                parts.take(groups.remove(full));
                at = None;
            }
            let at = *at.get_or_insert_with(|| {
                let size = scale.group.map_or(0, |around| around + scale.entry(entry.stamp.as_ref()));
                groups.push(Group { stamp: entry.stamp.clone(), fields: Vec::new(), size });
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
    scale: Scale,
}

impl<T, S: Clone> Parts<T, S> {
    fn take(&mut self, group: Group<T, S>) {
        let entry = self.scale.entry(group.stamp.as_ref());
        let stamp = group.stamp.map(|stamp| stamp.item);
        let run = if self.max_points == 0 { usize::MAX } else { self.max_points };
        let mut fields = group.fields.into_iter().peekable();
        while fields.peek().is_some() {
            let run: Vec<_> = fields.by_ref().take(run).collect();
            let size = entry + run.iter().map(|field| field.size + self.scale.value).sum::<usize>();
            let fields = run.into_iter().map(|field| (field.name, field.item)).collect();
            self.add(Chunk { stamp: stamp.clone(), fields }, size);
        }
    }

    fn add(&mut self, chunk: Chunk<T, S>, size: usize) {
        let points = chunk.fields.len();
        let full = |count: usize| self.max_points > 0 && count >= self.max_points;
        let alone = full(points) || self.scale.message + size > self.max_bytes;
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
        (self.points, self.size) = (0, self.scale.message);
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
        split(entries, max_points, max_bytes, Scale::ESTIMATED).iter().map(|part| part.points).collect()
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
        let entries = vec![entry(None, &[("a", 1), ("b", 2)]), entry(None, &[("a", 3)])];
        let parts = split(entries, 0, 8196, Scale::ESTIMATED);
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
            let parts = split(entries, max_points, max_bytes, Scale::ESTIMATED);
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
                    size += if chunk.stamp.is_some() { 40 + 1 } else { 20 };
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
    /// A value as it is written, and its size as the exact scale wants it.
    fn written(name: &str, length: usize) -> Field<String> {
        let (name, item) = (format!("\"{name}\""), "7".repeat(length.max(1)));
        Field { size: name.len() + item.len() + ":".len(), name, item }
    }

    fn text(part: &Part<String, String>, around: (&str, &str)) -> String {
        let entries: Vec<_> = part
            .chunks
            .iter()
            .map(|chunk| {
                let values: Vec<_> = chunk.fields.iter().map(|(name, item)| format!("{name}:{item}")).collect();
                let values = format!("{{{}}}", values.join(","));
                chunk.stamp.as_ref().map_or(values.clone(), |opening| format!("{opening}{values}}}"))
            })
            .collect();
        format!("{}{}{}", around.0, entries.join(","), around.1)
    }

    proptest! {
        #[test]
        fn what_is_written_is_never_over_the_bytes_that_are_known(
            lists in prop::collection::vec((prop::option::of(1u32..4), prop::collection::vec(0usize..60, 0..20)), 0..12),
            max_points in 0usize..9,
            max_bytes in 30usize..400,
        ) {
            let around = ("{\"Насос\":[", "]}");
            let mut number = 0;
            let entries: Vec<_> = lists
                .iter()
                .map(|(ts, lengths)| {
                    let opening = ts.map(|ts| format!("{{\"ts\":{ts},\"values\":"));
                    let stamp = opening.map(|opening| Stamp {
                        identity: opening.clone(),
                        size: opening.len() + "{}}".len(),
                        item: opening,
                    });
                    let fields = lengths.iter().map(|length| { number += 1; written(&format!("ключ {number}"), *length) });
                    Entry { stamp, fields: fields.collect() }
                })
                .collect();
            for part in split(entries, max_points, max_bytes, Scale::exact(around.0.len() + around.1.len())) {
                prop_assert!(text(&part, around).len() <= max_bytes || part.points == 1);
            }
        }
    }
}
