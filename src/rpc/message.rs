//! Descriptions of the messages, and lists whose elements stay encoded until somebody looks at them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};

use super::proto::{DESCRIPTORS, FIELD_NUMBERS, discovery, handler, v3};
use super::unknown;
pub use super::unknown::encode;
use crate::error::{Error, Result};

/// Read by the first who asks: megabytes, which a program that receives messages alone never needs.
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("compiled into this crate"));

/// All definitions.
pub(super) fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The description of a message, by its full name.
///
/// # Panics
/// For a name that the definitions do not have, which is a mistake in this crate.
#[must_use]
pub fn descriptor(full_name: &str) -> MessageDescriptor {
    POOL.get_message_by_name(full_name).unwrap_or_else(|| panic!("no message {full_name}"))
}

/// The names and numbers of a message's fields, without its description; none for a message without fields.
pub fn field_numbers(full_name: &str) -> impl Iterator<Item = (&'static str, u32)> {
    let line = FIELD_NUMBERS.lines().find_map(|line| line.strip_prefix(full_name)?.strip_prefix(' '));
    line.unwrap_or_default().split_whitespace().filter_map(|field| {
        let (name, number) = field.split_once('=')?;
        Some((name, number.parse().ok()?))
    })
}

/// Read a message.
///
/// # Errors
/// [`Error::Malformed`].
pub fn decode(descriptor: &MessageDescriptor, bytes: Bytes) -> Result<DynamicMessage> {
    let decoded =
        unknown::gathered(descriptor, bytes).and_then(|bytes| DynamicMessage::decode(descriptor.clone(), bytes));
    decoded.map_err(|error| undecodable(descriptor.full_name(), &error))
}

/// Merge another message of the same type into one: set fields replace, lists append, maps merge.
///
/// # Errors
/// [`Error::Malformed`].
pub fn merge(message: &mut DynamicMessage, other: &[u8]) -> Result<()> {
    let descriptor = message.descriptor();
    let merged = unknown::gathered(&descriptor, Bytes::copy_from_slice(other)).and_then(|bytes| message.merge(bytes));
    merged.map_err(|error| undecodable(descriptor.full_name(), &error))
}

fn undecodable(what: &str, error: &prost::DecodeError) -> Error {
    Error::Malformed { message: what.to_owned(), reason: error.to_string() }
}

/// A message whose only field is a list of messages, all at number 1: `handler.DeviceList` and others.
#[derive(Clone, PartialEq, prost::Message)]
struct Elements {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    elements: Vec<Bytes>,
}

/// The elements of such a list, checked, but still encoded: they share
/// the reply's memory.
///
/// # Errors
/// [`Error::Malformed`] if any of them cannot be read.
pub fn elements(list: &str, reply: Bytes) -> Result<Vec<Bytes>> {
    let fail = |error: prost::DecodeError| undecodable(list, &error);
    let check: fn(&Bytes) -> Result<(), prost::DecodeError> = match list {
        "handler.DeviceList" => |bytes| handler::Device::decode(bytes.clone()).map(drop),
        "discovery.AnnouncementsResponse" => |bytes| discovery::Announcement::decode(bytes.clone()).map(drop),
        "ttn.lorawan.v3.EndDevices" => |bytes| v3::EndDevice::decode(bytes.clone()).map(drop),
        "ttn.lorawan.v3.ApplicationDownlinks" => |bytes| v3::ApplicationDownlink::decode(bytes.clone()).map(drop),
        other => return Err(Error::invalid("list", other, "a message that is a list of messages")),
    };
    let elements = Elements::decode(reply).map_err(fail)?.elements;
    // One at a time: the whole list decoded would take many times the memory of the reply.
    elements.iter().try_for_each(check).map_err(fail)?;
    Ok(elements)
}

/// Whether two messages have the same content; an explicit default is as good as none.
#[must_use]
pub fn same(one: &DynamicMessage, other: &DynamicMessage) -> bool {
    fn same_value(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Message(one), Value::Message(other)) => same(one, other),
            (Value::List(one), Value::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
            }
            (one, other) => one == other,
        }
    }
    let fields =
        |message: &'_ DynamicMessage| message.fields().map(|(field, _)| field.number()).collect::<BTreeSet<_>>();
    one.descriptor() == other.descriptor()
        && fields(one) == fields(other)
        && one.fields().all(|(field, value)| same_value(value, &other.get_field(&field)))
        && unknown::of(one) == unknown::of(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive() {
        // dev_id "a", and field 99 with "new", which our definitions do not have.
        let bytes = Bytes::from_static(b"\x12\x01a\x9a\x06\x03new");
        let message = decode(&descriptor("handler.Device"), bytes.clone()).unwrap();
        assert_eq!(encode(&message), bytes);
    }

    #[test]
    fn the_numbers_of_fields_are_those_of_the_description() {
        let described = descriptor("lorawan.PrefixesResponse.PrefixMapping");
        let expected: Vec<_> = described.fields().map(|field| (field.name().to_owned(), field.number())).collect();
        let found = field_numbers(described.full_name()).map(|(name, number)| (name.to_owned(), number));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert_eq!(field_numbers("google.protobuf.Empty").next(), None);
    }

    #[test]
    fn a_list_with_one_bad_element_is_refused() {
        let good = Bytes::from_static(b"\x0a\x03\x12\x01a\x0a\x03\x12\x01b");
        assert_eq!(elements("handler.DeviceList", good).unwrap().len(), 2);
        let bad = elements("handler.DeviceList", Bytes::from_static(b"\x0a\x03\x12\x01a\x0a\x02\x12\x09")).unwrap_err();
        assert!(bad.to_string().starts_with("cannot decode a message of type handler.DeviceList: "), "{bad}");
    }
}
