//! Messages that came without a receipt and that the stream does not take now: on the disk, in order, bounded.
//!
//! A folder of segments, each a file of records; what has reached the stream is remembered in a file beside them, and a
//! segment of which all have is deleted. Records are handed to the system one by one, so they outlive the process; not
//! every power cut, since none is forced to the disk. After a crash the last few may go into the stream twice.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// A segment that is larger gets no more records.
const SEGMENT: u64 = 4 << 20;
/// What stands before each record: its length, then its checksum.
const HEAD: usize = 8;
/// Numbers of segments begin here: there are some below for what has to come before the rest.
const FIRST: u64 = 1 << 32;

/// Where a record stands: segment, and offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64, u64);

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) subject: String,
    pub(super) id: Option<String>,
    pub(super) payload: Bytes,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: File,
    size: u64,
}

/// The spool.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    most: u64,
    segments: VecDeque<Segment>,
    /// The next record to be read.
    next: Place,
    /// Read, and not in the stream yet.
    outstanding: BTreeSet<Place>,
    position: File,
    /// Nobody else writes here while it is held.
    _lock: File,
    messages: u64,
    bytes: u64,
}

impl Spool {
    /// The spool in this folder, with what another process has left there; of at most so many bytes.
    ///
    /// # Errors
    /// Whatever the system says; `WouldBlock` when another process has it.
    pub(super) fn open(folder: &Path, most: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = OpenOptions::new().create(true).append(true).open(folder.join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        let settings = || OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
        let position = settings().open(folder.join("position"))?;
        let mut numbers: Vec<u64> = fs::read_dir(folder)?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".spool")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let next = read_position(&position).unwrap_or(Place(0, 0));
        let mut spool = Self {
            folder: folder.to_owned(),
            most,
            segments: VecDeque::new(),
            next,
            outstanding: BTreeSet::new(),
            position,
            _lock: lock,
            messages: 0,
            bytes: 0,
        };
        for number in numbers {
            // All of it was in the stream already, and a crash kept it from being deleted.
            if number < next.0 && next.0 >= FIRST && number >= FIRST {
                fs::remove_file(spool.path(number))?;
                continue;
            }
            let file = settings().open(spool.path(number))?;
            let start = if number == next.0 { next.1 } else { 0 };
            let (count, end) = count(&file, start)?;
            if end < file.metadata()?.len() {
                tracing::warn!(segment = number, "the spool ends in the middle of a message, which is given up");
                file.set_len(end)?;
            }
            spool.messages += count;
            spool.bytes += end;
            spool.segments.push_back(Segment { number, file, size: end });
        }
        let first = spool.segments.front().map(|segment| segment.number);
        if let Some(first) = first.filter(|first| *first != next.0) {
            spool.next = Place(first, 0);
        }
        Ok(spool)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}.spool"))
    }

    /// Put a record at the end. Tells whether there was room.
    ///
    /// # Errors
    /// Whatever the system says; then there is nothing of it.
    pub(super) fn append(&mut self, subject: &str, id: Option<&str>, payload: &[u8]) -> io::Result<bool> {
        let record = encode(subject, id, payload);
        if self.bytes + record.len() as u64 > self.most {
            return Ok(false);
        }
        if self.segments.back().is_none_or(|last| last.size >= SEGMENT) {
            let number = self.segments.back().map_or(FIRST.max(self.next.0 + 1), |last| last.number + 1);
            self.add(number)?;
        }
        self.write(self.segments.len() - 1, &record)?;
        Ok(true)
    }

    /// Put records before all others. What was read and is not done is read again.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(super) fn put_before<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a str, Option<&'a str>, &'a [u8])>,
    ) -> io::Result<()> {
        let mut records = records.peekable();
        if records.peek().is_none() {
            return Ok(());
        }
        if let Some(first) = self.outstanding.pop_first() {
            self.next = first;
            self.outstanding.clear();
        }
        let (before, old) = (self.segments.len(), self.next);
        let number = self.segments.front().map_or(FIRST, |first| first.number).saturating_sub(1);
        self.add(number)?;
        if let Some(segment) = self.segments.pop_back() {
            self.segments.push_front(segment);
        }
        for (subject, id, payload) in records {
            self.write(0, &encode(subject, id, payload))?;
        }
        // What was read of the segment that was the first, is not read again.
        if before > 0 && old.1 > 0 {
            self.skip(old)?;
        }
        self.next = Place(number, 0);
        self.remember()
    }

    /// Have a segment begin at this place.
    fn skip(&mut self, start: Place) -> io::Result<()> {
        let Some(at) = self.segments.iter().position(|segment| segment.number == start.0) else { return Ok(()) };
        let segment = &self.segments[at];
        let mut rest = vec![0; usize::try_from(segment.size - start.1).unwrap_or_default()];
        read_at(&segment.file, &mut rest, start.1)?;
        segment.file.set_len(0)?;
        write_at(&segment.file, &rest, 0)?;
        self.bytes -= start.1;
        self.segments[at].size = rest.len() as u64;
        Ok(())
    }

    fn add(&mut self, number: u64) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(number))?;
        if self.segments.is_empty() {
            self.next = Place(number, 0);
        }
        self.segments.push_back(Segment { number, file, size: 0 });
        Ok(())
    }

    fn write(&mut self, at: usize, record: &[u8]) -> io::Result<()> {
        let segment = &mut self.segments[at];
        if let Err(error) = write_at(&segment.file, record, segment.size) {
            // Half a record is found out by its checksum, should this fail as well.
            let _cut = segment.file.set_len(segment.size);
            return Err(error);
        }
        segment.size += record.len() as u64;
        self.bytes += record.len() as u64;
        self.messages += 1;
        Ok(())
    }

    /// The next record, and where it stands; it is there until it is [`Spool::done`].
    ///
    /// # Errors
    /// Whatever the system says.
    pub(super) fn next(&mut self) -> io::Result<Option<(Place, Record)>> {
        loop {
            let Some(at) = self.segments.iter().position(|segment| segment.number == self.next.0) else {
                return Ok(None);
            };
            let segment = &self.segments[at];
            if self.next.1 < segment.size {
                let (record, size) = read(&segment.file, self.next.1)?;
                let place = self.next;
                self.next.1 += size;
                self.outstanding.insert(place);
                return Ok(Some((place, record)));
            }
            match self.segments.get(at + 1) {
                Some(following) => self.next = Place(following.number, 0),
                None => return Ok(None),
            }
        }
    }

    /// The stream has a record.
    ///
    /// # Errors
    /// Whatever the system says.
    pub(super) fn done(&mut self, place: Place) -> io::Result<()> {
        if !self.outstanding.remove(&place) {
            return Ok(());
        }
        self.messages -= 1;
        let low = self.outstanding.first().copied().unwrap_or(self.next);
        let all = self.messages == 0;
        while self.segments.front().is_some_and(|first| all || first.number < low.0) {
            let Some(first) = self.segments.pop_front() else { break };
            fs::remove_file(self.path(first.number))?;
            self.bytes -= first.size;
        }
        self.remember()
    }

    fn remember(&mut self) -> io::Result<()> {
        let low = self.outstanding.first().copied().unwrap_or(self.next);
        let mut text = [0; 16];
        text[..8].copy_from_slice(&low.0.to_le_bytes());
        text[8..].copy_from_slice(&low.1.to_le_bytes());
        write_at(&self.position, &text, 0)
    }

    /// Messages in it that the stream does not have.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Bytes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn read_position(file: &File) -> Option<Place> {
    let mut text = [0; 16];
    read_at(file, &mut text, 0).ok()?;
    let number = |part: &[u8]| part.try_into().map(u64::from_le_bytes).ok();
    Some(Place(number(&text[..8])?, number(&text[8..])?))
}

fn checksum(body: &[u8]) -> [u8; 4] {
    // Reading from memory cannot fail.
    murmur3::murmur3_32(&mut io::Cursor::new(body), 0).unwrap_or_default().to_le_bytes()
}

fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

fn encode(subject: &str, id: Option<&str>, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0; HEAD];
    for part in [subject.as_bytes(), id.unwrap_or_default().as_bytes()] {
        record.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        record.extend(part);
    }
    record.extend(payload);
    let length = u32::try_from(record.len() - HEAD).unwrap_or(u32::MAX);
    record[..4].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&record[HEAD..]);
    record[4..HEAD].copy_from_slice(&sum);
    record
}

/// The record at an offset, and the bytes that it takes.
fn read(file: &File, offset: u64) -> io::Result<(Record, u64)> {
    let mut head = [0; HEAD];
    read_at(file, &mut head, offset)?;
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "a record of the spool is damaged");
    let length = u32::from_le_bytes(head[..4].try_into().map_err(|_| bad())?);
    if offset + HEAD as u64 + u64::from(length) > file.metadata()?.len() {
        return Err(bad());
    }
    let mut body = vec![0; length as usize];
    read_at(file, &mut body, offset + HEAD as u64)?;
    if checksum(&body) != head[4..] {
        return Err(bad());
    }
    let mut rest = Bytes::from(body);
    let mut part = || -> Option<String> {
        let length = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let text = String::from_utf8(rest.get(4..4 + length)?.to_vec()).ok()?;
        rest = rest.slice(4 + length..);
        Some(text)
    };
    let (subject, id) = (part().ok_or_else(bad)?, part().ok_or_else(bad)?);
    let id = Some(id).filter(|id| !id.is_empty());
    Ok((Record { subject, id, payload: rest }, HEAD as u64 + u64::from(length)))
}

/// How many whole records there are from an offset on, and where the last one ends.
fn count(file: &File, start: u64) -> io::Result<(u64, u64)> {
    let (mut count, mut at) = (0, start);
    loop {
        match read(file, at) {
            Ok((_, size)) => (count, at) = (count + 1, at + size),
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
                return Ok((count, at));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
