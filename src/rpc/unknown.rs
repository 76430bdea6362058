//! Fields that our definitions do not have, kept as the bytes that they are.
//!
//! Decoded, each of them would take the same room however short it is: fields of two bytes fifty times what they weigh. So
//! those of a message are gathered before it is decoded, and are one field to `prost-reflect`; it is taken apart again where
//! the message is encoded. Messages without such fields, nearly all, are only looked through.

use bytes::{Buf as _, Bytes};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};

/// Number of the field that holds others: the last there is, which no definition of ours has.
const HOLDER: u32 = (1 << 29) - 1;
/// How deep messages are looked into: `prost` reads none that are nested deeper.
const DEPTH: usize = 100;

/// What becomes of the fields that are not known.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

/// Gather the unknown fields of each message in these bytes.
pub(super) fn gathered(descriptor: &MessageDescriptor, bytes: Bytes) -> Result<Bytes, DecodeError> {
    Ok(rewrite(descriptor, &bytes, Way::In, DEPTH)?.map_or(bytes, |written| written.into_boxed_slice().into()))
}

/// Encode a message; the fields that were gathered go out as they came, after those that are known.
#[must_use]
pub fn encode(message: &DynamicMessage) -> Vec<u8> {
    let bytes = prost::Message::encode_to_vec(message);
    if !holds(message) {
        return bytes;
    }
    // What was just encoded can be read.
    rewrite(&message.descriptor(), &bytes, Way::Out, DEPTH).ok().flatten().unwrap_or(bytes)
}

/// The unknown fields of one message, without those of its parts.
pub(super) fn of(message: &DynamicMessage) -> Vec<u8> {
    let mut fields = Vec::new();
    for field in message.unknown_fields() {
        let mut encoded = Vec::with_capacity(field.encoded_len());
        field.encode(&mut encoded);
        let mut rest = &encoded[..];
        if field.number() == HOLDER && decode_key(&mut rest).is_ok() && decode_varint(&mut rest).is_ok() {
            fields.extend_from_slice(rest);
        } else {
            fields.extend(encoded);
        }
    }
    fields
}

/// Whether a message or a part of it has unknown fields.
fn holds(message: &DynamicMessage) -> bool {
    let in_value = |value: &Value| match value {
        Value::Message(part) => holds(part),
        Value::List(parts) => parts.iter().filter_map(Value::as_message).any(holds),
        Value::Map(parts) => parts.values().filter_map(Value::as_message).any(holds),
        _ => false,
    };
    message.unknown_fields().next().is_some() || message.fields().any(|(_, value)| in_value(value))
}

/// The same message with its unknown fields gathered or taken apart; `None` where it has none.
fn rewrite(
    descriptor: &MessageDescriptor,
    bytes: &[u8],
    way: Way,
    depth: usize,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut rest = bytes;
    // What is written anew, once something is: until then everything up to here is as it was.
    let mut written: Option<Vec<u8>> = None;
    let mut unknown = Vec::new();
    while rest.has_remaining() {
        let begin = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        let before = &bytes[..bytes.len() - begin.len()];
        let known = descriptor.get_field(number);
        let part = known.as_ref().and_then(|field| match field.kind() {
            Kind::Message(part) if wire_type == WireType::LengthDelimited => Some(part),
            _ => None,
        });
        if let Some(part) = part.filter(|_| depth > 0) {
            let content = take(&mut rest)?;
            let own = &begin[..begin.len() - rest.len()];
            match rewrite(&part, content, way, depth - 1)? {
                Some(content) => {
                    let written = written.get_or_insert_with(|| before.to_vec());
                    encode_key(number, wire_type, written);
                    encode_varint(content.len() as u64, written);
                    written.extend(content);
                }
                None => keep(&mut written, own),
            }
            continue;
        }
        let is_holder = matches!((way, number, wire_type), (Way::Out, HOLDER, WireType::LengthDelimited));
        let content = if is_holder {
            take(&mut rest)?
        } else {
            skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
            &begin[..begin.len() - rest.len()]
        };
        if known.is_some() {
            keep(&mut written, content);
        } else {
            written.get_or_insert_with(|| before.to_vec());
            unknown.extend_from_slice(content);
        }
    }
    if let Some(written) = written.as_mut().filter(|_| !unknown.is_empty()) {
        if let Way::In = way {
            encode_key(HOLDER, WireType::LengthDelimited, written);
            encode_varint(unknown.len() as u64, written);
        }
        written.append(&mut unknown);
    }
    Ok(written)
}

/// Write what stays as it is, if anything is written anew at all.
fn keep(written: &mut Option<Vec<u8>>, bytes: &[u8]) {
    if let Some(written) = written {
        written.extend_from_slice(bytes);
    }
}

/// The content of a field with a length.
fn take<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], DecodeError> {
    let mut ahead = *rest;
    let length = decode_varint(&mut ahead)?;
    // Whoever passes over it says what is wrong with it.
    let mut after = *rest;
    skip_field(WireType::LengthDelimited, 1, &mut after, DecodeContext::default())?;
    *rest = after;
    Ok(&ahead[..usize::try_from(length).unwrap_or(0).min(ahead.len())])
}

#[cfg(test)]
mod tests {
    use super::super::message::{decode, descriptor, merge, same};
    use super::*;
    use crate::fuzz::memory_of;

    /// `dev_id` "a", then in `lorawan_device` the same field as below, then fields 99 and 100 and a group 101.
    const ODD: &[u8] = b"\x12\x01a\x1a\x05\x9a\x06\x02in\x9a\x06\x03new\xa0\x06\x07\xab\x06\x08\x01\xac\x06";

    #[test]
    fn unknown_fields_of_all_kinds_and_of_parts_survive() {
        let message = decode(&descriptor("handler.Device"), Bytes::from_static(ODD)).unwrap();
        assert_eq!(encode(&message), ODD);
        let mut merged = DynamicMessage::new(message.descriptor());
        merge(&mut merged, ODD).unwrap();
        assert!(same(&merged, &message));
        merge(&mut merged, b"\xa0\x06\x09").unwrap();
        assert!(!same(&merged, &message));
        assert_eq!(encode(&merged), [ODD, b"\xa0\x06\x09"].concat());
    }

    #[test]
    fn they_cost_what_they_weigh() {
        let described = descriptor("handler.Device");
        // Of a number that neither the message nor its part has.
        for (name, field) in
            [("a number", &b"\x98\x01\x01"[..]), ("a group", b"\x9b\x01\x9c\x01"), ("a text", b"\x9a\x01\x01a")]
        {
            let alone = Bytes::from(field.repeat(200_000));
            let mut part = b"\x1a".to_vec();
            encode_varint(alone.len() as u64, &mut part);
            part.extend_from_slice(&alone);
            for bytes in [alone, Bytes::from(part)] {
                let mut kept = None;
                let weight = bytes.len() as u64;
                let cost = memory_of(|| kept = Some(decode(&described, bytes.clone()).unwrap()));
                let kept = kept.unwrap();
                // Buffers that grow have twice what they need for a moment, and a part is copied into its whole.
                assert!(cost < 6 * weight, "{name}: {cost} for {weight} bytes");
                assert_eq!(encode(&kept), bytes);
            }
        }
    }
}
