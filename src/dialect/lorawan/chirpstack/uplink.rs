//! An uplink of `ChirpStack` in V2's shape (CS 5.2).
//!
//! [`direct`] says of each field of each object where its value is. Before 4.1 the server left out what is zero, which is read
//! as zero; before 4.6 a gateway's time had another name.

use std::borrow::Cow;

use super::super::base64;
use super::super::shape::{Direct, Part, anew, at, integer, megahertz, number, object, text, thousandths};
use super::airtime;
use crate::dialect::json::{Kind, Value};

/// A field of one of V2's objects out of the value that has its members.
pub(in crate::dialect::lorawan) fn direct<'a>(part: Part, value: Value<'a>, name: &str) -> Direct<'a> {
    match part {
        Part::Uplink => uplink(value, name),
        Part::Metadata => metadata(value, name),
        Part::Gateway => gateway(value, name),
    }
}

/// What a device is called, of its `deviceInfo`: its tag `dev_id`, else its name, else its `DevEUI` (CS 5.4).
pub(in crate::dialect::lorawan) fn name(info: Value<'_>) -> Option<Value<'_>> {
    let field = |path: &[&str]| at(info, path).and_then(text);
    field(&["tags", "dev_id"]).or_else(|| field(&["deviceName"])).or_else(|| field(&["devEui"]))
}

/// What its application is called.
pub(super) fn application(info: Value<'_>) -> Option<Value<'_>> {
    let field = |key: &str| info.get(key).and_then(text);
    field("applicationName").or_else(|| field("applicationId"))
}

/// A text in capitals, as JSON.
pub(super) fn capitals(value: Value<'_>) -> String {
    // Escapes have none.
    if value.kind() == Kind::Escaped {
        return format!("\"{}\"", value.raw());
    }
    format!("\"{}\"", value.raw().to_ascii_uppercase())
}

/// A time as V2 wrote it.
pub(super) fn time(value: Value<'_>) -> Direct<'_> {
    match value.raw().strip_suffix("+00:00") {
        Some(start) => Direct::made(Some(format!("\"{start}Z\""))),
        None => Direct::There(value),
    }
}

fn plain_number(value: Option<Value<'_>>, otherwise: &'static str) -> Direct<'static> {
    let text = value.and_then(number).map_or(Cow::Borrowed(otherwise), |value| Cow::Owned(anew(value)));
    Direct::Text(text)
}

fn uplink<'a>(message: Value<'a>, field: &str) -> Direct<'a> {
    let own = |key: &str| message.get(key);
    let info = || own("deviceInfo");
    match field {
        "app_id" => Direct::or_text(info().and_then(application), "\"\""),
        "dev_id" => Direct::or_text(info().and_then(name), "\"\""),
        "hardware_serial" => Direct::made(info().and_then(|info| info.get("devEui")).and_then(text).map(capitals)),
        "port" => Direct::or_text(own("fPort").and_then(integer), "0"),
        "counter" => Direct::or_text(own("fCnt").and_then(integer), "0"),
        "confirmed" => Direct::or_absent(own("confirmed").filter(|value| value.kind() == Kind::True)),
        "payload_raw" => match own("data").and_then(text) {
            Some(payload) => Direct::There(payload),
            None => Direct::Text(Cow::Borrowed(if has_port(message) { "\"\"" } else { "null" })),
        },
        "payload_fields" => own("object").and_then(object).map_or(Direct::Absent, Direct::Anew),
        "metadata" => Direct::Part(Part::Metadata, message),
        _ => Direct::Absent,
    }
}

fn has_port(message: Value<'_>) -> bool {
    message.get("fPort").and_then(Value::as_i64).is_some_and(|port| port != 0)
}

fn metadata<'a>(message: Value<'a>, name: &str) -> Direct<'a> {
    let radio = || message.get("txInfo").map(Radio);
    match name {
        "time" => message.get("time").and_then(text).map_or(Direct::Text(Cow::Borrowed("\"\"")), time),
        "frequency" => Direct::made(radio().and_then(Radio::frequency).map(megahertz)),
        "modulation" => Direct::made(radio().and_then(Radio::modulation).map(|name| format!("\"{name}\""))),
        "data_rate" => Direct::made(radio().and_then(Radio::data_rate)),
        "bit_rate" => Direct::or_absent(radio().and_then(Radio::bit_rate)),
        "airtime" => {
            let bytes = match message.get("data").and_then(text) {
                Some(data) => Some(base64::decoded_len(data.raw())),
                None => has_port(message).then_some(0),
            };
            Direct::made(radio().and_then(|radio| radio.airtime(bytes)).map(|airtime| airtime.to_string()))
        }
        "coding_rate" => Direct::made(radio().and_then(Radio::coding_rate).map(|rate| format!("\"{rate}\""))),
        "gateways" => match message.get("rxInfo").filter(|antennas| antennas.elements().next().is_some()) {
            Some(antennas) => Direct::Parts(Part::Gateway, antennas),
            None => Direct::Absent,
        },
        _ => Direct::Absent,
    }
}

/// How something is sent: `txInfo`.
#[derive(Clone, Copy)]
pub(super) struct Radio<'a>(pub(super) Value<'a>);

impl<'a> Radio<'a> {
    pub(super) fn frequency(self) -> Option<u64> {
        self.0.get("frequency")?.as_i64()?.try_into().ok().filter(|hertz| *hertz > 0)
    }

    fn of(self, modulation: &str) -> Option<Value<'a>> {
        at(self.0, &["modulation", modulation]).filter(|value| value.kind() == Kind::Object)
    }

    pub(super) fn modulation(self) -> Option<&'static str> {
        let names = [("lora", "LORA"), ("fsk", "FSK"), ("lrFhss", "LR_FHSS")];
        names.into_iter().find(|(key, _)| self.of(key).is_some()).map(|(_, name)| name)
    }

    fn lora(self, key: &str) -> Option<i64> {
        self.of("lora")?.get(key)?.as_i64().filter(|number| *number > 0)
    }

    /// As JSON.
    pub(super) fn data_rate(self) -> Option<String> {
        let (factor, bandwidth) = (self.lora("spreadingFactor")?, self.lora("bandwidth")?);
        Some(format!("\"SF{factor}BW{}\"", thousandths(bandwidth.unsigned_abs(), 3)))
    }

    pub(super) fn bit_rate(self) -> Option<Value<'a>> {
        self.of("fsk")?.get("datarate").and_then(integer)
    }

    /// `CR_4_5` and `CR_LI_4_5` as `4/5`.
    fn coding_rate(self) -> Option<String> {
        let coded = self.of("lora").or_else(|| self.of("lrFhss"))?;
        if let Some(rate) = coded.get("codeRate").and_then(text) {
            let rate = rate.raw().strip_prefix("CR_")?;
            let (data, all) = rate.strip_prefix("LI_").unwrap_or(rate).split_once('_')?;
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            return (is_number(data) && is_number(all)).then(|| format!("{data}/{all}"));
        }
        // Of the first servers.
        coded.get("codeRateLegacy").and_then(text).map(|rate| rate.raw().to_owned())
    }

    fn airtime(self, payload: Option<usize>) -> Option<u64> {
        let coding = self.coding_rate().and_then(|rate| rate.strip_prefix("4/")?.parse().ok());
        let coding = coding.filter(|coding| (5..=8).contains(coding)).unwrap_or(5);
        airtime::uplink(payload, self.lora("spreadingFactor")?, self.lora("bandwidth")?, coding)
    }
}

fn gateway<'a>(antenna: Value<'a>, name: &str) -> Direct<'a> {
    let field = |key: &str| antenna.get(key);
    match name {
        "gtw_id" => Direct::made(field("gatewayId").and_then(text).map(gateway_id)),
        // It is inside of what only the gateway reads.
        "timestamp" => Direct::Text(Cow::Borrowed("0")),
        "fine_timestamp" => {
            Direct::made(field("fineTimeSinceGpsEpoch").and_then(fraction).map(|fine| fine.to_string()))
        }
        "time" => {
            let instant = field("gwTime").and_then(text).or_else(|| field("time").and_then(text));
            instant.map_or(Direct::Text(Cow::Borrowed("\"\"")), time)
        }
        "antenna" => Direct::or_absent(field("antenna").and_then(integer).filter(|index| index.raw() != "0")),
        "channel" => Direct::or_text(field("channel").and_then(integer), "0"),
        "rssi" => plain_number(field("rssi"), "0"),
        "snr" => plain_number(field("snr"), "0"),
        "rf_chain" => Direct::or_text(field("rfChain").and_then(integer), "0"),
        "latitude" | "longitude" | "altitude" => match field("location").and_then(object) {
            Some(place) => plain_number(place.get(name), "0"),
            None => Direct::Absent,
        },
        "location_source" => match field("location").and_then(|place| place.get("source")).map(Value::raw) {
            Some("GPS") => Direct::Text(Cow::Borrowed("\"gps\"")),
            Some("CONFIG") => Direct::Text(Cow::Borrowed("\"config\"")),
            _ => Direct::Absent,
        },
        _ => Direct::Absent,
    }
}

/// A gateway's ID as V2 had it, as JSON.
pub(super) fn gateway_id(id: Value<'_>) -> String {
    format!("\"eui-{}\"", id.raw().to_lowercase())
}

/// The nanoseconds of a duration that are beyond its whole seconds.
fn fraction(value: Value<'_>) -> Option<u32> {
    let text = text(value)?.raw().strip_suffix('s')?;
    let (_, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| format!("{fraction:0<9}").parse().ok())?
}

/// The value of a single payload field, its levels joined by `/`.
pub(in crate::dialect::lorawan) fn single_field<'a>(message: Value<'a>, field: &str) -> Option<Value<'a>> {
    field.split('/').try_fold(message.get("object")?, Value::get)
}
