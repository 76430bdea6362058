//! Uplinks as a table: gathered column by column, given out in Arrow's format, in bounded memory.
//!
//! Rows are gathered in an open chunk; full chunks are closed, and what is closed is shared with whoever asks. A column whose
//! kind becomes wider closes the open chunk: chunks keep the kind that they were gathered in, and are converted when they are
//! asked for. Columns are bounded as well as rows, since names are the senders' to choose.

mod chunk;
mod columns;
mod envelope;
mod fields;
#[cfg(test)]
mod fuzz;
mod kind;
mod open;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub use self::kind::Kind;
pub use self::rows::Rows;

use self::chunk::Chunk;
use self::columns::{Columns, WHOLE};
use self::envelope::Found;
use self::open::{Cell, Open, json_of};
use crate::dialect::json::{self, Value};

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// An uplink, with the gateway that heard it best.
    Uplink,
    /// An uplink as one gateway heard it.
    Gateway,
}

/// What a table may hold. The oldest rows make room.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most rows.
    pub rows: usize,
    /// Bytes that they may take; the oldest go many at a time.
    pub bytes: usize,
}

/// Most rows of a chunk.
const CHUNK_ROWS: usize = 16_384;
/// Most bytes of a chunk, but for the one message that goes beyond: its texts have offsets of 31 bits.
const CHUNK_BYTES: usize = 16 << 20;

/// Uplinks, column by column.
#[derive(Debug)]
pub struct Table {
    per: Per,
    limits: Limits,
    columns: Columns,
    open: Open,
    closed: VecDeque<Arc<Chunk>>,
    /// Rows of the first closed chunk that do not count any more.
    skip: usize,
    /// Of closed chunks.
    closed_rows: usize,
    closed_bytes: usize,
    dropped: u64,
    unreadable: u64,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(per: Per, limits: Limits) -> Self {
        Self {
            per,
            limits,
            columns: Columns::new(per),
            open: Open::default(),
            closed: VecDeque::new(),
            skip: 0,
            closed_rows: 0,
            closed_bytes: 0,
            dropped: 0,
            unreadable: 0,
        }
    }

    /// Rows that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.closed_rows - self.skip + self.open.rows
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.closed_bytes + self.open.bytes()
    }

    /// Rows that made room for others.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Values of the envelope that were not what their column is of, in whose places nulls are.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Add an uplink, in V2's shape.
    pub fn add(&mut self, uplink: Value<'_>) {
        let mut payload = Vec::new();
        if let Some(fields) = uplink.get("payload_fields").filter(|fields| fields.kind() != json::Kind::Null) {
            self.read_fields(fields, &mut payload);
        }
        for gateway in envelope::rows(self.per, uplink) {
            let of_envelope = envelope::values(self.per, uplink, gateway).map(|(index, found)| match found {
                Found::Value(value) => (index, Cell::Value(value)),
                Found::Number(number) => (index, Cell::Number(number)),
            });
            let row: Vec<_> = of_envelope.chain(payload.iter().map(|(index, cell)| (*index, cell.clone()))).collect();
            self.unreadable += self.open.append(&self.columns.all, &row);
            if self.open.rows >= self.chunk_rows() || self.open.bytes() >= self.chunk_bytes() {
                self.close();
            }
            self.make_room();
        }
    }

    /// The cells of payload fields. Columns settle so that they can take them.
    fn read_fields<'a>(&mut self, fields: Value<'a>, payload: &mut Vec<(usize, Cell<'a>)>) {
        let (mut rest, mut outdated) = (String::new(), false);
        let (columns, open) = (&mut self.columns, &self.open);
        // Of a name that comes twice the last value counts, as in Python.
        let mut put = |index: usize, cell: Cell<'a>| match payload.iter_mut().find(|(known, _)| *known == index) {
            Some((_, place)) => *place = cell,
            None => payload.push((index, cell)),
        };
        fields::flatten(fields, WHOLE, |name, value| {
            let Some(index) = columns.of_field(name) else {
                rest.push_str(if rest.is_empty() { "{" } else { "," });
                rest.push_str(&serde_json::Value::from(name).to_string());
                rest.push(':');
                json_of(value, &mut rest);
                return;
            };
            if value.kind() == json::Kind::Null {
                return;
            }
            let column = &mut columns.all[index];
            let settled = column.kind.settled(Kind::of(value));
            if settled != column.kind {
                column.kind = settled;
                outdated |= open.is_outdated(index, settled);
            }
            put(index, Cell::Value(value));
        });
        if !rest.is_empty() {
            rest.push('}');
            put(columns.rest(), Cell::Json(rest));
        }
        if outdated {
            self.close();
        }
    }

    /// A quarter of what may be there at most, so that what goes makes room.
    fn chunk_rows(&self) -> usize {
        CHUNK_ROWS.min(self.limits.rows / 4).max(1)
    }

    fn chunk_bytes(&self) -> usize {
        CHUNK_BYTES.min(self.limits.bytes / 4)
    }

    fn close(&mut self) {
        if self.open.rows > 0 {
            let chunk = self.open.close();
            self.closed_rows += chunk.rows;
            self.closed_bytes += chunk.bytes;
            self.closed.push_back(Arc::new(chunk));
        }
    }

    /// Let the oldest rows go that are too many.
    fn make_room(&mut self) {
        let before = self.len();
        self.skip += before.saturating_sub(self.limits.rows);
        while let Some(first) = self.closed.front()
            && (self.skip >= first.rows || self.bytes() > self.limits.bytes)
        {
            self.skip = self.skip.saturating_sub(first.rows);
            self.closed_rows -= first.rows;
            self.closed_bytes -= first.bytes;
            self.closed.pop_front();
        }
        let gone = before - self.len();
        if gone > 0 && self.dropped == 0 {
            let (rows, bytes) = (self.limits.rows, self.limits.bytes);
            tracing::warn!(rows, bytes, "a table of uplinks is full: its oldest rows make room");
        }
        self.dropped += gone as u64;
    }

    /// What is there now. Of the newest rows, at most a chunk, it is a copy.
    #[must_use]
    pub fn rows(&mut self) -> Rows {
        let open = (self.open.rows > 0).then(|| Arc::new(self.open.copy()));
        Rows::new(&self.columns.all, self.closed.iter().cloned().chain(open).collect(), self.skip)
    }

    /// What is there, which begins anew; its columns stay.
    #[must_use]
    pub fn take(&mut self) -> Rows {
        self.close();
        let chunks = std::mem::take(&mut self.closed).into();
        let rows = Rows::new(&self.columns.all, chunks, std::mem::take(&mut self.skip));
        (self.closed_rows, self.closed_bytes) = (0, 0);
        rows
    }
}
