//! Downlink commands as `ChirpStack` takes them over MQTT (CS 3.5). It drops what is wrong without a word, so all of it is
//! looked at here.

use std::fmt::Write as _;

use super::super::base64;
use super::super::model::{Downlink, Payload, Topic};
use super::super::object::quoted;
use super::{dev_eui, topic, uuid};
use crate::dialect::json::{Document, Kind, Value};
use crate::error::{Error, Result};
use crate::ids::AppId;

/// Longest command, in bytes: over 10,240 the server parts with its broker for a second and loses what others send, too.
const LONGEST: usize = 8192;

/// How the queue items of this library end: the text `t`, `hingsl`. Version 8 of UUIDs is for forms of one's own.
const OURS: &str = "74-68696e67736c";

/// The form of commands: that of the server's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON, the server's default.
    #[default]
    Json,
    /// Protobuf, of a server with `json = false`.
    Protobuf,
}

/// The ID of a queue item that carries a token.
#[must_use]
pub fn queue_item_id(token: u64) -> String {
    let digits = format!("{token:016x}");
    let [a, b, c, d] = [&digits[..8], &digits[8..12], &digits[12..15], &digits[15..]];
    format!("{a}-{b}-8{c}-8{d}{OURS}")
}

/// The token of a queue item: what it carries, if the item is of this library, else something that stands for it.
#[must_use]
pub fn item_token(id: &str) -> Option<u64> {
    let digits = uuid(id)?.replace('-', "");
    let number = u128::from_str_radix(&digits, 16).ok()?;
    let is_ours = digits.get(18..).is_some_and(|end| end == OURS.replace('-', ""));
    let own = [digits.get(..12)?, digits.get(13..16)?, digits.get(17..18)?].concat();
    if is_ours {
        return u64::from_str_radix(&own, 16).ok();
    }
    #[expect(clippy::cast_possible_truncation, reason = "both halves count")]
    let folded = (number >> 64) as u64 ^ number as u64;
    Some(folded)
}

/// A command on its way.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// The application, a UUID as topics have it.
    pub application: &'a str,
    /// The device, a `DevEUI` as topics have it.
    pub dev_eui: &'a str,
    /// What the server is to call it.
    pub id: &'a str,
    /// What goes out.
    pub downlink: &'a Downlink,
}

impl Command<'_> {
    /// Topic and body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for what would part the server from its broker; [`Error::Invalid`] for fields that are no object.
    pub fn write(self, form: Form) -> Result<(String, Vec<u8>)> {
        let topic = format!("application/{}/device/{}/command/down", self.application, self.dev_eui);
        let body = match form {
            Form::Json => self.json()?.into_bytes(),
            Form::Protobuf => self.protobuf()?,
        };
        if body.len() > LONGEST {
            return Err(Error::TooLarge { what: "downlink command", size: body.len(), limit: LONGEST });
        }
        Ok((topic, body))
    }

    fn json(self) -> Result<String> {
        let Self { dev_eui, id, downlink, .. } = self;
        let (confirmed, port) = (downlink.confirmed, downlink.port);
        let mut body = format!(
            "{{\"id\":{},\"devEui\":{},\"confirmed\":{confirmed},\"fPort\":{port},",
            quoted(id),
            quoted(dev_eui)
        );
        match &downlink.payload {
            Payload::Raw(text) | Payload::Either(text) => {
                write!(body, "\"data\":\"{}\"}}", base64::encode(&bytes(text)?))
                    .expect("writing to a String cannot fail");
            }
            Payload::Fields(json) => {
                fields(json)?;
                write!(body, "\"object\":{json}}}").expect("writing to a String cannot fail");
            }
        }
        Ok(body)
    }

    /// `integration.DownlinkCommand` (CS 4.5).
    fn protobuf(self) -> Result<Vec<u8>> {
        let Self { dev_eui, id, downlink, .. } = self;
        let mut body = Vec::new();
        put(&mut body, 1, id.as_bytes());
        put(&mut body, 2, dev_eui.as_bytes());
        if downlink.confirmed {
            body.extend([3 << 3, 1]);
        }
        body.push(4 << 3);
        put_number(&mut body, downlink.port.into());
        match &downlink.payload {
            Payload::Raw(text) | Payload::Either(text) => put(&mut body, 5, &bytes(text)?),
            Payload::Fields(json) => put(&mut body, 6, &members(fields(json)?.root())),
        }
        Ok(body)
    }
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    base64::decode(text).map_err(|_| Error::invalid("payload", text, "base64"))
}

/// Fields for the device's codec.
fn fields(json: &str) -> Result<Document> {
    // Read by a stricter reader first: the server drops the whole command over one number that is not finite.
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok();
    let document = Document::parse(json.as_bytes()).ok().filter(|_| is_object);
    document.ok_or_else(|| Error::invalid("payload", json, "a JSON object without NaN and Infinity"))
}

fn put(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_number(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7F) as u8);
}

/// The members of `google.protobuf.Struct`.
fn members(object: Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in object.members() {
        let mut member = Vec::new();
        put(&mut member, 1, name.as_str().unwrap_or_default().as_bytes());
        put(&mut member, 2, &any(value));
        put(&mut out, 1, &member);
    }
    out
}

/// `google.protobuf.Value`.
fn any(value: Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match value.kind() {
        Kind::Null => out.extend([1 << 3, 0]),
        Kind::True => out.extend([4 << 3, 1]),
        Kind::False => out.extend([4 << 3, 0]),
        Kind::Int | Kind::Float | Kind::NotFinite => {
            out.push(2 << 3 | 1);
            out.extend(value.as_f64().unwrap_or_default().to_le_bytes());
        }
        Kind::Plain | Kind::Escaped => put(&mut out, 3, value.as_str().unwrap_or_default().as_bytes()),
        Kind::Object => put(&mut out, 5, &members(value)),
        Kind::Array => {
            let mut list = Vec::new();
            value.elements().for_each(|element| put(&mut list, 1, &any(element)));
            put(&mut out, 6, &list);
        }
    }
    out
}

/// Check what a program publishes by itself: anything but a whole command is a line in the server's log and no more.
pub(in super::super) fn check_publication(app_id: &AppId, to: &str, payload: &[u8]) -> Result<()> {
    let own = topic(to).filter(|topic| matches!(topic, Topic::Downlink { .. }));
    let application = uuid(app_id.as_str());
    let own = own.filter(|topic| application.as_ref().is_none_or(|own| own == topic.app_id()));
    let Some(topic) = own else {
        let expected = "\"application/<UUID>/device/<DevEUI>/command/down\" of this application: ChirpStack drops all else \
                        without a word";
        return Err(Error::invalid("topic", to, expected));
    };
    if payload.len() > LONGEST {
        return Err(Error::TooLarge { what: "downlink command", size: payload.len(), limit: LONGEST });
    }
    let device = topic.dev_id();
    if dev_eui(device).as_deref() != Some(device) {
        return Err(Error::invalid("topic", to, "a DevEUI of 16 hex digits in lower case, as the server writes it"));
    }
    // Protobuf is checked by nobody.
    if payload.first() != Some(&b'{') {
        return Ok(());
    }
    let document = Document::parse(payload).ok();
    let body = document.as_ref().map(Document::root);
    let field = |names: [&str; 2]| names.into_iter().find_map(|name| body?.get(name));
    let port = field(["fPort", "f_port"]).and_then(Value::as_i64);
    let is_for_it = field(["devEui", "dev_eui"]).and_then(Value::as_str).is_some_and(|id| id == device);
    if is_for_it && port.is_some_and(|port| (1..=255).contains(&port)) {
        return Ok(());
    }
    let expected = "{\"devEui\": ..., \"fPort\": ..., ...} with the DevEUI of the topic and a port from 1 to 255: ChirpStack \
                    drops all else without a word, and cuts ports to 8 bits";
    Err(Error::invalid("payload", String::from_utf8_lossy(payload), expected))
}

#[cfg(test)]
mod tests {
    use super::super::super::model::Schedule;
    use super::super::read;
    use super::*;

    const APPLICATION: &str = "c49fa6c7-3dc9-4053-b67b-3417d0872f0b";
    const DEVICE: &str = "70b3d57ed005f1a2";
    const ID: &str = "3f2a1c9e-0d4b-4c5e-9f60-718293a4b5c6";

    fn downlink(payload: Payload) -> Downlink {
        Downlink { port: 10, confirmed: true, schedule: Schedule::Last, payload, options: None }
    }

    fn written(payload: Payload, form: Form) -> Result<(String, Vec<u8>)> {
        let downlink = downlink(payload);
        Command { application: APPLICATION, dev_eui: DEVICE, id: ID, downlink: &downlink }.write(form)
    }

    #[test]
    fn a_command_is_written_as_the_contract_has_it() {
        let (topic, body) = written(Payload::Raw("Ag8=".into()), Form::Json).unwrap();
        assert_eq!(topic, format!("application/{APPLICATION}/device/{DEVICE}/command/down"));
        let expected = format!(r#"{{"id":"{ID}","devEui":"{DEVICE}","confirmed":true,"fPort":10,"data":"Ag8="}}"#);
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        let (_, body) = written(Payload::Fields(r#"{"on": true}"#.into()), Form::Json).unwrap();
        assert!(String::from_utf8(body).unwrap().ends_with(r#""fPort":10,"object":{"on": true}}"#));
    }

    #[test]
    fn the_same_in_protobuf() {
        let (_, body) = written(Payload::Raw("Ag8=".into()), Form::Protobuf).unwrap();
        let start = [vec![0x0A, 36], ID.as_bytes().to_vec(), vec![0x12, 16], DEVICE.as_bytes().to_vec()].concat();
        assert_eq!(body, [start.clone(), vec![0x18, 1, 0x20, 10, 0x2A, 2, 2, 15]].concat());
        let (_, body) = written(Payload::Fields(r#"{"a":[1,null,"x",{"b":false}]}"#.into()), Form::Protobuf).unwrap();
        let object = &body[start.len() + 4..];
        // Field 11 of an uplink is the same message.
        let uplink = [vec![0x0A, 0, 0x5A], object[1..].to_vec()].concat();
        let (document, is_protobuf) = read(&format!("application/{APPLICATION}/device/{DEVICE}/event/up"), &uplink);
        let document = document.unwrap();
        assert!(is_protobuf);
        assert_eq!(document.root().get("object").unwrap().raw(), r#"{"a":[1.0,null,"x",{"b":false}]}"#);
    }

    #[test]
    fn what_would_part_the_server_from_its_broker_is_refused() {
        let long = Payload::Fields(format!(r#"{{"text":"{}"}}"#, "x".repeat(9000)));
        for form in [Form::Json, Form::Protobuf] {
            assert!(matches!(written(long.clone(), form), Err(Error::TooLarge { limit: 8192, .. })));
            for odd in ["[1]", "7", r#"{"a":NaN}"#] {
                assert!(written(Payload::Fields(odd.into()), form).is_err(), "{odd}");
            }
        }
    }

    #[test]
    fn a_token_comes_back_in_the_id() {
        for token in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            let id = queue_item_id(token);
            assert_eq!((item_token(&id), uuid(&id)), (Some(token), Some(id.clone())), "{id}");
        }
        assert!(item_token(ID).is_some() && item_token(ID) != item_token(&queue_item_id(1)));
        assert_eq!(item_token("pump"), None);
    }

    #[test]
    fn what_a_program_publishes_is_looked_at() {
        let app = AppId::new(APPLICATION).unwrap();
        let topic = format!("application/{APPLICATION}/device/{DEVICE}/command/down");
        let check = |topic: &str, body: &str| check_publication(&app, topic, body.as_bytes());
        let good = format!(r#"{{"devEui":"{DEVICE}","fPort":10,"data":"Ag8="}}"#);
        check(&topic, &good).unwrap();
        for (topic, body) in [
            (topic.replace("c49f", "0000"), good.clone()),
            (topic.replace("command/down", "command/flush"), good.clone()),
            (topic.replace("f1a2", "F1A2"), good.clone()),
            (topic.clone(), good.replace("10", "257")),
            (topic.clone(), good.replace("f1a2", "f1a3")),
            (topic.clone(), good.replace("\"fPort\":10,", "")),
            (topic.clone(), format!("{good} x")),
            (topic.clone(), format!(r#"{{"devEui":"{DEVICE}","fPort":10,"x":"{}"}}"#, "x".repeat(9000))),
        ] {
            assert!(check(&topic, &body).is_err(), "{topic} {body}");
        }
    }
}
