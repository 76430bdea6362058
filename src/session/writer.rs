//! Bytes on their way to the server, and which messages among them are out.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::QoS;
use super::packet::{Malformed, Publish, Version};

/// Bytes encoded ahead of the socket.
const WRITE_AHEAD: usize = 64 << 10;

/// The outbound side of one connection.
#[derive(Debug, Default)]
pub(super) struct Writer {
    outbound: BytesMut,
    /// Bytes written since the connection began. Positions below count the same way.
    written: u64,
    /// Where each unwritten message at QoS 0 ends: there it is out.
    ends: VecDeque<u64>,
    /// Where each unacknowledged message at QoS 1 begins: from there on the server knows of it.
    starts: VecDeque<u64>,
    /// Whether the stream holds bytes back until it is flushed.
    flushes: bool,
    needs_flush: bool,
}

impl Writer {
    /// `flushes`: whether the stream holds bytes back until it is flushed, as TLS does.
    pub(super) fn new(flushes: bool) -> Self {
        Self { flushes, ..Self::default() }
    }

    /// Where packets are appended that are no messages.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.outbound
    }

    /// Whether messages may be encoded ahead of the socket.
    pub(super) fn has_room(&self) -> bool {
        self.outbound.len() < WRITE_AHEAD
    }

    /// Whether there is anything to do for the socket.
    pub(super) fn wants_write(&self) -> bool {
        !self.outbound.is_empty() || self.needs_flush
    }

    /// Whether everything is handed to the socket.
    pub(super) fn is_empty(&self) -> bool {
        self.outbound.is_empty()
    }

    /// Append a message.
    pub(super) fn publish(&mut self, version: Version, message: Publish) -> Result<(), Malformed> {
        let (qos, start) = (message.qos, self.position());
        version.publish(message, &mut self.outbound)?;
        match qos {
            QoS::AtMostOnce => self.ends.push_back(self.position()),
            _ => self.starts.push_back(start),
        }
        Ok(())
    }

    fn position(&self) -> u64 {
        self.written + self.outbound.len() as u64
    }

    /// So many bytes were taken out of the buffer by the socket, or with 0 it was flushed. Tells how many messages at
    /// QoS 0 went out with them.
    pub(super) fn wrote(&mut self, count: usize) -> usize {
        if count == 0 {
            self.needs_flush = false;
            return 0;
        }
        self.written += count as u64;
        self.needs_flush = self.flushes;
        if self.outbound.is_empty() && self.outbound.capacity() > WRITE_AHEAD * 4 {
            self.outbound = BytesMut::new();
        }
        let out = self.ends.partition_point(|end| *end <= self.written);
        self.ends.drain(..out);
        out
    }

    /// A message at QoS 1 was acknowledged: the oldest, as servers do it.
    pub(super) fn acknowledged(&mut self) {
        self.starts.pop_front();
    }

    /// Whether the server has got at least the beginning of a message that it has not acknowledged. The beginning is
    /// enough: one that is too long for it is refused by the length that it announces.
    pub(super) fn has_begun(&self) -> bool {
        self.starts.front().is_some_and(|start| *start < self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;

    fn message(qos: QoS) -> Publish {
        Publish { topic: "a".into(), payload: vec![0; 100].into(), qos, retain: false, dup: false, mid: 1 }
    }

    fn write(writer: &mut Writer, count: usize) -> usize {
        writer.buffer().advance(count);
        writer.wrote(count)
    }

    #[test]
    fn a_message_at_qos_0_is_out_with_its_last_byte() {
        let mut writer = Writer::new(false);
        writer.publish(Version::V311, message(QoS::AtMostOnce)).unwrap();
        writer.publish(Version::V311, message(QoS::AtMostOnce)).unwrap();
        let each = writer.buffer().len() / 2;
        assert_eq!([write(&mut writer, each - 1), write(&mut writer, 1), write(&mut writer, each)], [0, 1, 1]);
        assert!(!writer.wants_write());
    }

    #[test]
    fn a_message_at_qos_1_is_known_to_the_server_from_its_first_byte_until_it_is_acknowledged() {
        let mut writer = Writer::new(false);
        Version::ping(writer.buffer());
        writer.publish(Version::V311, message(QoS::AtLeastOnce)).unwrap();
        assert!(!writer.has_begun());
        write(&mut writer, 2);
        assert!(!writer.has_begun());
        write(&mut writer, 1);
        assert!(writer.has_begun());
        writer.acknowledged();
        assert!(!writer.has_begun());
    }

    #[test]
    fn what_holds_bytes_back_is_flushed_after_the_last_of_them() {
        let mut writer = Writer::new(true);
        Version::ping(writer.buffer());
        write(&mut writer, 2);
        assert!(writer.is_empty() && writer.wants_write());
        writer.wrote(0);
        assert!(!writer.wants_write());
    }
}
