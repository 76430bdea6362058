//! Downlinks as applications write them, read as the stack's MQTT front end does (V3 2.4, 2.6).

use std::borrow::Cow;

use ::base64::Engine as _;
use ::base64::alphabet;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::Map;
use tonic::Code;

use super::failure::Failure;
use super::json::{self, Object, list};
use crate::dialect::json::{Document, Kind, Value};

/// By their numbers; the first is zero and so never written.
const PRIORITIES: [&str; 7] = ["LOWEST", "LOW", "BELOW_NORMAL", "NORMAL", "ABOVE_NORMAL", "HIGH", "HIGHEST"];
/// What a sent downlink has.
pub(super) const HIGHEST: u8 = 6;

/// Most attempts that the server allows of those that the schema does, and how many it makes when nothing is said.
const ALLOWED_ATTEMPTS: u32 = 32;
pub(super) const DEFAULT_ATTEMPTS: u32 = 8;

/// One downlink.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Downlink {
    pub(super) session_key_id: Vec<u8>,
    pub(super) f_port: u32,
    pub(super) f_cnt: u32,
    pub(super) frm_payload: Vec<u8>,
    pub(super) decoded_payload: Option<serde_json::Value>,
    pub(super) confirmed: bool,
    pub(super) class_b_c: Option<ClassBC>,
    pub(super) priority: u8,
    pub(super) correlation_ids: Vec<String>,
    /// How often it was sent, once that counts.
    pub(super) attempt: u32,
    pub(super) max_attempts: Option<u32>,
}

/// What only devices of class B and C need.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ClassBC {
    gateways: Vec<Antenna>,
    pub(super) absolute_time: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Antenna {
    gateway_id: String,
    eui: Vec<u8>,
    index: u32,
    group: u32,
}

/// Read a request; `None` for what the server drops without a word.
pub(super) fn read(message: &[u8]) -> Option<Vec<Downlink>> {
    let text = std::str::from_utf8(message).ok()?;
    // The index takes numbers that JSON does not have. What follows the first value does not matter.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let document = Document::parse(&text.as_bytes()[..values.byte_offset()]).ok()?;
    let mut downlinks = Vec::new();
    for (name, value) in members(document.root())? {
        if name == "downlinks" {
            downlinks = elements(value)?.map(Downlink::read).collect::<Option<_>>()?;
        }
    }
    Some(downlinks)
}

/// The members of a message that are set, by their names in snake case. A name that stands there twice is refused.
fn members(object: Value<'_>) -> Option<Vec<(String, Value<'_>)>> {
    if object.kind() != Kind::Object {
        return None;
    }
    let mut members: Vec<(String, Value<'_>)> = Vec::new();
    for (name, value) in object.members() {
        let mut snake = String::new();
        for letter in name.as_str()?.chars() {
            if letter.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        if members.iter().any(|(known, _)| *known == snake) {
            return None;
        }
        members.push((snake, value));
    }
    members.retain(|(_, value)| value.kind() != Kind::Null);
    Some(members)
}

fn elements(array: Value<'_>) -> Option<impl Iterator<Item = Value<'_>>> {
    (array.kind() == Kind::Array).then(|| array.elements())
}

/// A number, which may be written as a text or with a fraction of zero.
fn number(value: Value<'_>) -> Option<u32> {
    let text = match value.kind() {
        Kind::Int | Kind::Float => Cow::Borrowed(value.raw()),
        _ => value.as_str()?,
    };
    let number: f64 = serde_json::from_str(&text).ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at just here")]
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

fn flag(value: Value<'_>) -> Option<bool> {
    match value.kind() {
        Kind::True => Some(true),
        Kind::False => Some(false),
        _ => None,
    }
}

/// Base64 in either alphabet, padded or not.
fn bytes(value: Value<'_>) -> Option<Vec<u8>> {
    let text = value.as_str()?.replace('-', "+").replace('_', "/");
    let padding =
        if text.len() % 4 == 0 { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(padding);
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(text).ok()
}

/// A priority; a name that is unknown counts as none, and an unknown number is refused.
fn priority(value: Value<'_>) -> Option<u8> {
    if let Some(name) = value.as_str() {
        let known = PRIORITIES.iter().position(|known| *known == name);
        return u8::try_from(known.unwrap_or(0)).ok();
    }
    u8::try_from(number(value)?).ok().filter(|number| usize::from(*number) < PRIORITIES.len())
}

/// A free object; all numbers in it are doubles. As deep as the index goes, and no deeper.
fn free(value: Value<'_>) -> Option<serde_json::Value> {
    match value.kind() {
        Kind::Plain | Kind::Escaped => value.as_str().map(Into::into),
        Kind::Array => value.elements().map(free).collect::<Option<Vec<_>>>().map(Into::into),
        Kind::Object => {
            let mut object = Map::new();
            for (name, value) in value.members() {
                if object.insert(name.as_str()?.into_owned(), free(value)?).is_some() {
                    return None;
                }
            }
            Some(object.into())
        }
        Kind::Int | Kind::Float => value.as_f64().filter(|number| number.is_finite()).map(Into::into),
        _ => serde_json::from_str(value.raw()).ok(),
    }
}

impl Downlink {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in members(value)? {
            match name.as_str() {
                "session_key_id" => read.session_key_id = bytes(value)?,
                "f_port" => read.f_port = number(value)?,
                "f_cnt" => read.f_cnt = number(value)?,
                "frm_payload" => read.frm_payload = bytes(value)?,
                "decoded_payload" => read.decoded_payload = Some(free(value).filter(serde_json::Value::is_object)?),
                "confirmed" => read.confirmed = flag(value)?,
                "class_b_c" => read.class_b_c = Some(ClassBC::read(value)?),
                "priority" => read.priority = priority(value)?,
                "correlation_ids" => {
                    let texts = elements(value)?.map(|text| text.as_str().map(Cow::into_owned));
                    read.correlation_ids = texts.collect::<Option<_>>()?;
                }
                "confirmed_retry" => {
                    for (name, value) in members(value)? {
                        match name.as_str() {
                            "attempt" => read.attempt = number(value)?,
                            "max_attempts" => read.max_attempts = Some(number(value)?),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Some(read)
    }

    /// The schema's rules, and those that the server looks at before all else; `at` is its place in the request.
    pub(super) fn check(&self, at: usize) -> Result<(), Failure> {
        let invalid = |field: &str, reason: &str| {
            let place = format!("downlinks[{at}]");
            Err(Failure::invalid(&[("DownlinkQueueRequest", &place), ("ApplicationDownlink", field)], reason))
        };
        if self.f_port > 255 {
            return invalid("f_port", "value must be less than or equal to 255");
        }
        if self.f_port == 224 {
            return invalid("f_port", "value must not be in list [224]");
        }
        if self.frm_payload.len() > 255 {
            return invalid("frm_payload", "value length must be at most 255 bytes");
        }
        if let Some(long) = self.correlation_ids.iter().position(|id| id.chars().count() > 100) {
            return invalid(&format!("correlation_ids[{long}]"), "value length must be at most 100 runes");
        }
        if self.max_attempts.is_some_and(|most| !(1..=100).contains(&most)) {
            return invalid("confirmed_retry", "value must be inside range [1, 100]");
        }
        if self.frm_payload.is_empty() && self.decoded_payload.is_none() {
            return Err(Failure::new(Code::InvalidArgument, "pkg/applicationserver", "no_payload", "no payload"));
        }
        if self.max_attempts.is_some_and(|most| most > ALLOWED_ATTEMPTS) {
            let format = "downlink maximum retries exceed configured maximum of {max}";
            let name = "downlink_max_retries_invalid";
            let failure = Failure::new(Code::InvalidArgument, "pkg/applicationserver", name, format);
            return Err(failure.with("max", ALLOWED_ATTEMPTS.to_string()));
        }
        Ok(())
    }

    /// As it stands in an event.
    pub(super) fn to_json(&self) -> String {
        let retry =
            Object::spaced().number("attempt", self.attempt).number("max_attempts", self.max_attempts.unwrap_or(0));
        let retry = (self.attempt > 0 || self.max_attempts.is_some()).then(|| retry.end());
        Object::new()
            .bytes("session_key_id", &self.session_key_id)
            .number("f_port", self.f_port)
            .number("f_cnt", self.f_cnt)
            .bytes("frm_payload", &self.frm_payload)
            .maybe("decoded_payload", self.decoded_payload.as_ref().map(json::free))
            .flag("confirmed", self.confirmed)
            .maybe("class_b_c", self.class_b_c.as_ref().map(ClassBC::to_json))
            .text("priority", if self.priority == 0 { "" } else { PRIORITIES[usize::from(self.priority)] })
            .texts("correlation_ids", &self.correlation_ids)
            .maybe("confirmed_retry", retry)
            .end()
    }
}

impl ClassBC {
    /// Of gateways by their ID, EUI, and the indices of antenna and group.
    pub(super) fn new(
        gateways: impl Iterator<Item = (String, Vec<u8>, u32, u32)>,
        absolute_time: Option<Timestamp>,
    ) -> Self {
        let gateways = gateways.map(|(gateway_id, eui, index, group)| Antenna { gateway_id, eui, index, group });
        Self { gateways: gateways.collect(), absolute_time }
    }

    fn read(value: Value<'_>) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in members(value)? {
            match name.as_str() {
                "gateways" => read.gateways = elements(value)?.map(Antenna::read).collect::<Option<_>>()?,
                "absolute_time" => read.absolute_time = Some(value.as_str()?.parse().ok()?),
                _ => {}
            }
        }
        Some(read)
    }

    fn to_json(&self) -> String {
        let gateways = list(self.gateways.iter().map(Antenna::to_json));
        Object::new()
            .maybe("gateways", (!self.gateways.is_empty()).then_some(gateways))
            .maybe("absolute_time", self.absolute_time.map(json::instant))
            .end()
    }
}

impl Antenna {
    fn read(value: Value<'_>) -> Option<Self> {
        let mut read = Self::default();
        for (name, value) in members(value)? {
            match name.as_str() {
                "gateway_ids" => {
                    for (name, value) in members(value)? {
                        match name.as_str() {
                            "gateway_id" => read.gateway_id = value.as_str()?.into_owned(),
                            // Hexadecimal digits are base64, too, but not of eight bytes.
                            "eui" => read.eui = bytes(value).filter(|eui| eui.len() == 8)?,
                            _ => {}
                        }
                    }
                }
                "antenna_index" => read.index = number(value)?,
                "group_index" => read.group = number(value)?,
                _ => {}
            }
        }
        Some(read)
    }

    fn to_json(&self) -> String {
        let ids = Object::new().text("gateway_id", &self.gateway_id).text("eui", &hex::encode_upper(&self.eui));
        Object::new()
            .put("gateway_ids", ids.end())
            .number("antenna_index", self.index)
            .number("group_index", self.group)
            .end()
    }
}
