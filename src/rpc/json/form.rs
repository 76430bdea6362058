//! What has a form of its own in the stack's JSON.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

/// Fields that are hexadecimal, by what their names end with, and their length in bytes.
const HEX: [(&str, usize); 5] = [("eui", 8), ("ns_id", 8), ("dev_addr", 4), ("net_id", 3), ("key", 16)];
/// Enumerations whose members are numbers.
const NUMBERS: [&str; 3] = ["DataRateIndex", "DataRateOffset", "RxDelay"];
/// Other words for members.
const ALIASES: [(&str, &[(&str, i32)]); 2] = [
    (
        "MACVersion",
        &[("1.0", 1), ("1.0.0", 1), ("1.0.1", 2), ("1.0.2", 3), ("1.0.3", 5), ("1.0.4", 6), ("1.1", 4), ("1.1.0", 4)],
    ),
    (
        "PHYVersion",
        &[
            ("1.0", 1),
            ("1.0.0", 1),
            ("V1_0", 1),
            ("TS001_V1_0", 1),
            ("1.0.1", 2),
            ("V1_0_1", 2),
            ("TS001_V1_0_1", 2),
            ("1.0.2", 3),
            ("1.0.2-a", 3),
            ("V1_0_2", 3),
            ("V1_0_2_REV_A", 3),
            ("RP001_V1_0_2", 3),
            ("1.0.2-b", 4),
            ("V1_0_2_REV_B", 4),
            ("RP001_V1_0_2_REV_B", 4),
            ("1.1-a", 5),
            ("1.1.0-a", 5),
            ("V1_1_REV_A", 5),
            ("RP001_V1_1_REV_A", 5),
            ("1.1-b", 6),
            ("1.1.0-b", 6),
            ("V1_1_REV_B", 6),
            ("RP001_V1_1_REV_B", 6),
            ("1.0.3-a", 7),
            ("V1_0_3_REV_A", 7),
            ("RP001_V1_0_3_REV_A", 7),
        ],
    ),
];

/// The length of a field that is written in hexadecimal digits.
pub(super) fn hex_length(field: &FieldDescriptor) -> Option<usize> {
    let name = field.name();
    let ends = |end: &str| name == end || name.strip_suffix(end).is_some_and(|rest| rest.ends_with('_'));
    // Of keys only the plain ones: what is encrypted is of any length.
    let is_taken = field.kind() == Kind::Bytes && name != "encrypted_key";
    HEX.iter().find(|(end, _)| is_taken && ends(end)).map(|(_, length)| *length)
}

/// The single field of a message that stands for its value, so that "not set" differs from zero.
pub(super) fn wrapped(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let is_wrapper = message.name().ends_with("Value") && message.fields().len() == 1;
    message.get_field_by_name("value").filter(|_| is_wrapper)
}

/// Whether its members are written as numbers.
pub(super) fn is_numeric(members: &EnumDescriptor) -> bool {
    NUMBERS.contains(&members.name())
}

/// The member of this name: whole, without what all begin with, or by another word.
pub(super) fn member(members: &EnumDescriptor, name: &str) -> Option<i32> {
    if let Some(value) = members.get_value_by_name(name) {
        return Some(value.number());
    }
    let prefix = members.values().next().and_then(|first| {
        let prefix = first.name().split('_').next()?.to_owned() + "_";
        members.values().all(|value| value.name().starts_with(&prefix)).then_some(prefix)
    });
    let whole = prefix.and_then(|prefix| members.get_value_by_name(&format!("{prefix}{name}")));
    let aliases = ALIASES.iter().find(|(of, _)| *of == members.name()).map_or(&[][..], |(_, aliases)| aliases);
    let alias = || aliases.iter().find(|(alias, _)| *alias == name).map(|(_, number)| *number);
    whole.map(|value| value.number()).or_else(alias)
}
