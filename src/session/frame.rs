//! Packets out of a stream of bytes. What is too large is skipped instead of ending the connection.

use bytes::{Buf, BytesMut};

use super::packet::{Malformed, Packet, Unreadable, Version};

/// What the stream holds next.
#[derive(Debug)]
pub(super) enum Frame {
    /// A whole packet.
    Packet(Packet),
    /// The beginning of a message over the limit; its bytes will be passed over.
    Oversize { topic: String, packet_id: Option<u16>, size: usize },
    /// More bytes are needed: at least this many.
    Incomplete(usize),
}

/// Reader of frames.
#[derive(Debug)]
pub(super) struct Frames {
    version: Version,
    max_bytes: usize,
    /// Bytes of an oversize packet that are still to come.
    skip: usize,
}

impl Frames {
    pub(super) fn new(version: Version, max_bytes: usize) -> Self {
        Self { version, max_bytes, skip: 0 }
    }

    /// Take the next frame off the front of `stream`.
    ///
    /// # Errors
    /// What makes the bytes unreadable; the stream cannot be followed any further.
    pub(super) fn next(&mut self, stream: &mut BytesMut) -> Result<Frame, Malformed> {
        if self.skip > 0 {
            let now = self.skip.min(stream.len());
            stream.advance(now);
            self.skip -= now;
            if self.skip > 0 {
                return Ok(Frame::Incomplete(1));
            }
        }
        match self.version.read(stream, self.max_bytes) {
            Ok(packet) => Ok(Frame::Packet(packet)),
            Err(Unreadable::Incomplete(count)) => Ok(Frame::Incomplete(count)),
            Err(Unreadable::TooLarge(size)) => self.oversize(stream, size),
            Err(Unreadable::Broken(reason)) => Err(reason),
        }
    }

    fn oversize(&mut self, stream: &mut BytesMut, size: usize) -> Result<Frame, Malformed> {
        let first = stream[0];
        if first >> 4 != 3 {
            return Err(Malformed::Oversize { kind: first >> 4, size });
        }
        let header = 1 + stream[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let has_id = first & 0b0110 != 0;
        let Some(length) = stream.get(header..header + 2) else { return Ok(Frame::Incomplete(2)) };
        let topic_end = header + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        let needed = topic_end + if has_id { 2 } else { 0 };
        if needed > header + size {
            return Err(Malformed::TopicOverrun);
        }
        if stream.len() < needed {
            return Ok(Frame::Incomplete(needed - stream.len()));
        }
        let topic = String::from_utf8_lossy(&stream[header + 2..topic_end]).into_owned();
        let packet_id = has_id.then(|| u16::from_be_bytes([stream[topic_end], stream[topic_end + 1]]));
        self.skip = header + size;
        let now = self.skip.min(stream.len());
        stream.advance(now);
        self.skip -= now;
        Ok(Frame::Oversize { topic, packet_id, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::QoS;
    use crate::session::packet::Publish;
    use proptest::prelude::*;

    fn publish(version: Version, size: usize, qos: QoS) -> BytesMut {
        let mut stream = BytesMut::new();
        let payload = vec![b'x'; size].into();
        let message = Publish { topic: "a/b".into(), payload, qos, retain: false, dup: false, mid: 9 };
        version.publish(message, &mut stream).unwrap();
        stream
    }

    #[test]
    fn an_oversize_message_is_passed_over_byte_by_byte() {
        for (version, expected) in [(Version::V311, 1007), (Version::V5, 1008)] {
            pass_over(version, expected);
        }
    }

    fn pass_over(version: Version, expected: usize) {
        let mut bytes = publish(version, 1000, QoS::AtLeastOnce);
        bytes.extend_from_slice(&publish(version, 3, QoS::AtMostOnce));
        let mut frames = Frames::new(version, 100);
        let mut stream = BytesMut::new();
        let (mut skipped, mut read) = (0, 0);
        for byte in bytes {
            stream.extend_from_slice(&[byte]);
            loop {
                match frames.next(&mut stream).unwrap() {
                    Frame::Oversize { topic, packet_id, size } => {
                        assert_eq!((topic.as_str(), packet_id, size), ("a/b", Some(9), expected));
                        skipped += 1;
                    }
                    Frame::Packet(Packet::Publish(message)) => {
                        assert_eq!(message.payload.len(), 3);
                        read += 1;
                    }
                    Frame::Packet(other) => panic!("{other:?}"),
                    Frame::Incomplete(_) => break,
                }
            }
        }
        assert_eq!((skipped, read), (1, 1));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300), max in 1usize..200, new in any::<bool>(),
        ) {
            let version = if new { Version::V5 } else { Version::V311 };
            let mut stream = BytesMut::from(&bytes[..]);
            let mut frames = Frames::new(version, max);
            while let Ok(Frame::Packet(_) | Frame::Oversize { .. }) = frames.next(&mut stream) {}
        }
    }
}
