//! What bytes are read into: small while a connection has little to say, larger while reads fill it.

use bytes::BytesMut;

/// Bytes of a connection that has nothing to say.
const QUIET: usize = 2 << 10;
/// Bytes up to which it grows.
const BUSY: usize = 128 << 10;

/// The bytes that were read and not yet decoded, and room for more.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: BytesMut,
    size: usize,
}

impl Buffer {
    /// Begin with what came with the login's answer.
    pub(super) fn new(rest: BytesMut) -> Self {
        Self { bytes: rest, size: QUIET }
    }

    /// Have room for the next read. It is best asked for when what was decoded is let go of: then no copy is made.
    pub(super) fn make_room(&mut self) {
        if self.bytes.capacity() - self.bytes.len() < self.size / 2 {
            self.bytes.reserve(self.size);
        }
    }

    /// A read is done. One that has taken all the room there was may have left more behind.
    pub(super) fn was_read(&mut self) {
        if self.bytes.len() == self.bytes.capacity() && self.size < BUSY {
            self.size *= 2;
        }
    }

    /// Give memory back in quiet times.
    pub(super) fn shrink(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > QUIET {
            *self = Self::new(BytesMut::with_capacity(QUIET));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf as _, BufMut as _};

    use super::*;

    #[test]
    fn a_buffer_that_reads_fill_grows_whatever_is_left_in_it() {
        for left in [0, 400, 1500] {
            let mut buffer = Buffer::new(BytesMut::new());
            for _ in 0..20 {
                buffer.make_room();
                let room = buffer.bytes.capacity() - buffer.bytes.len();
                buffer.bytes.put_bytes(0, room);
                buffer.was_read();
                // The begin of the next packet stays.
                buffer.bytes.advance(buffer.bytes.len() - left);
            }
            assert_eq!(buffer.size, BUSY, "{left}");
            buffer.bytes.clear();
            buffer.make_room();
            buffer.shrink();
            assert_eq!((buffer.size, buffer.bytes.capacity()), (QUIET, QUIET));
        }
    }

    #[test]
    fn a_buffer_that_reads_do_not_fill_stays_small() {
        let mut buffer = Buffer::new(BytesMut::new());
        for _ in 0..20 {
            buffer.make_room();
            buffer.bytes.put_bytes(0, 500);
            buffer.was_read();
            buffer.bytes.clear();
        }
        assert_eq!(buffer.size, QUIET);
    }
}
