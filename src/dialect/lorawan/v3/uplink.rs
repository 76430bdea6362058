//! An uplink of V3 in V2's shape (V3 4.1, 4.2): what is zero on V3 is left out there, and stands here.
//!
//! [`direct`] says of each field of each object where its value is.

use std::borrow::Cow;

use super::super::shape::{Direct, Part, at, integer, megahertz, number, object, text, thousandths};
use crate::dialect::json::{Kind, Value};

/// A field of one of V2's objects out of the value of V3 that has its members.
pub(in crate::dialect::lorawan) fn direct<'a>(part: Part, value: Value<'a>, name: &str) -> Direct<'a> {
    match part {
        Part::Uplink => uplink(value, name),
        Part::Metadata => metadata(value, name),
        Part::Gateway => gateway(value, name),
    }
}

fn uplink<'a>(message: Value<'a>, name: &str) -> Direct<'a> {
    let ids = |path: &[&str]| message.get("end_device_ids").and_then(|ids| at(ids, path)).and_then(text);
    let own = |key: &str| at(message, &["uplink_message", key]);
    match name {
        "app_id" => Direct::or_text(ids(&["application_ids", "application_id"]), "\"\""),
        "dev_id" => Direct::or_text(ids(&["device_id"]), "\"\""),
        "hardware_serial" => Direct::or_absent(ids(&["dev_eui"])),
        "port" => Direct::or_text(own("f_port").and_then(integer), "0"),
        "counter" => Direct::or_text(own("f_cnt").and_then(integer), "0"),
        "confirmed" => Direct::or_absent(own("confirmed").filter(|value| value.kind() == Kind::True)),
        "payload_raw" => {
            let has_port = || own("f_port").and_then(Value::as_i64).is_some_and(|port| port != 0);
            match own("frm_payload").and_then(text) {
                Some(payload) => Direct::There(payload),
                None => Direct::Text(Cow::Borrowed(if has_port() { "\"\"" } else { "null" })),
            }
        }
        "payload_fields" => Direct::or_absent(own("decoded_payload").and_then(object)),
        "metadata" => Direct::Part(Part::Metadata, message),
        "attributes" => Direct::or_absent(own("attributes").and_then(object)),
        _ => Direct::Absent,
    }
}

fn metadata<'a>(message: Value<'a>, name: &str) -> Direct<'a> {
    let own = |key: &str| at(message, &["uplink_message", key]);
    let settings = |path: &[&str]| own("settings").and_then(|settings| at(settings, path));
    let rate = |path: &[&str]| settings(&["data_rate"]).and_then(|rate| at(rate, path));
    match name {
        "time" => {
            let outer = || message.get("received_at").and_then(text);
            Direct::or_text(own("received_at").and_then(text).or_else(outer), "\"\"")
        }
        "frequency" => {
            let hertz = settings(&["frequency"]).and_then(decimal).filter(|hertz| *hertz > 0);
            Direct::made(hertz.map(megahertz))
        }
        "modulation" => match modulation(rate) {
            Some(Modulation::Lora(_)) => Direct::Text(Cow::Borrowed("\"LORA\"")),
            Some(Modulation::Fsk(_)) => Direct::Text(Cow::Borrowed("\"FSK\"")),
            Some(Modulation::LrFhss) => Direct::Text(Cow::Borrowed("\"LR_FHSS\"")),
            None => Direct::Absent,
        },
        "data_rate" => Direct::made(match modulation(rate) {
            Some(Modulation::Lora(lora)) => {
                let number = |key: &str| lora.get(key).and_then(Value::as_i64);
                number("spreading_factor")
                    .zip(number("bandwidth"))
                    .map(|(factor, bandwidth)| format!("\"SF{factor}BW{}\"", thousandths(bandwidth.unsigned_abs(), 3)))
            }
            _ => None,
        }),
        "bit_rate" => Direct::or_absent(match modulation(rate) {
            Some(Modulation::Fsk(fsk)) => fsk.get("bit_rate").and_then(integer),
            _ => None,
        }),
        "airtime" => Direct::made(own("consumed_airtime").and_then(nanoseconds).map(|airtime| airtime.to_string())),
        // Before release 3.22 it stood beside the data rate.
        "coding_rate" => {
            let coding = rate(&["lora", "coding_rate"]).or_else(|| rate(&["lrfhss", "coding_rate"]));
            Direct::or_absent(coding.or_else(|| settings(&["coding_rate"])).and_then(text))
        }
        "gateways" => match own("rx_metadata").filter(|antennas| antennas.elements().next().is_some()) {
            Some(antennas) => Direct::Parts(Part::Gateway, antennas),
            None => Direct::Absent,
        },
        _ => location(|| own("locations").and_then(own_location), name),
    }
}

enum Modulation<'a> {
    Lora(Value<'a>),
    Fsk(Value<'a>),
    LrFhss,
}

fn modulation<'a>(rate: impl Fn(&[&str]) -> Option<Value<'a>>) -> Option<Modulation<'a>> {
    let fsk = || rate(&["fsk"]).map(Modulation::Fsk);
    let lr_fhss = || rate(&["lrfhss"]).map(|_| Modulation::LrFhss);
    rate(&["lora"]).map(Modulation::Lora).or_else(fsk).or_else(lr_fhss)
}

/// The device's own location: what the registry says, else what the payload says, else any, in the order of the names.
fn own_location(locations: Value<'_>) -> Option<Value<'_>> {
    let by_name = |name: &str| locations.get(name).and_then(object);
    by_name("user").or_else(|| by_name("frm-payload")).or_else(|| {
        let all = locations.members().filter(|(_, place)| object(*place).is_some());
        all.min_by_key(|(name, _)| name.unescaped()).map(|(_, place)| place)
    })
}

fn gateway<'a>(antenna: Value<'a>, name: &str) -> Direct<'a> {
    let field = |key: &str| antenna.get(key);
    match name {
        "gtw_id" | "eui" => identity(antenna, name),
        "timestamp" => Direct::or_text(field("timestamp").and_then(integer), "0"),
        "fine_timestamp" => Direct::made(field("fine_timestamp").and_then(decimal).map(|fine| fine.to_string())),
        "fine_timestamp_encrypted" => Direct::or_absent(field("encrypted_fine_timestamp").and_then(text)),
        "time" => Direct::or_text(field("time").and_then(text), "\"\""),
        "antenna" => Direct::or_absent(field("antenna_index").and_then(integer).filter(|index| index.raw() != "0")),
        "channel" => Direct::or_text(field("channel_index").and_then(integer), "0"),
        "rssi" => {
            let of_the_channel = || field("channel_rssi").and_then(number);
            Direct::or_text(field("rssi").and_then(number).or_else(of_the_channel), "0")
        }
        "snr" => Direct::or_text(field("snr").and_then(number), "0"),
        "rf_chain" => Direct::Text(Cow::Borrowed("0")),
        _ => location(|| field("location").and_then(object), name),
    }
}

/// The gateway's ID or EUI; of one of another network, what its forwarder says.
fn identity<'a>(antenna: Value<'a>, name: &str) -> Direct<'a> {
    let ids = |key: &str| at(antenna, &["gateway_ids", key]).and_then(text);
    let broker = |key: &str| at(antenna, &["packet_broker", key]).and_then(text);
    let eui = || ids("eui").or_else(|| broker("forwarder_gateway_eui"));
    if name == "eui" {
        return Direct::or_absent(eui());
    }
    let own = ids("gateway_id");
    let named = own.filter(|id| id.raw() != "packetbroker").or_else(|| broker("forwarder_gateway_id"));
    match (named, eui()) {
        (Some(id), _) => Direct::There(id),
        (None, Some(eui)) => Direct::made(Some(format!("\"eui-{}\"", eui.raw().to_lowercase()))),
        (None, None) => Direct::or_absent(own),
    }
}

fn location<'a>(place: impl FnOnce() -> Option<Value<'a>>, name: &str) -> Direct<'a> {
    match name {
        "latitude" | "longitude" | "altitude" => match place() {
            Some(place) => Direct::or_text(place.get(name).and_then(number), "0"),
            None => Direct::Absent,
        },
        "location_accuracy" => Direct::or_absent(place().and_then(|place| place.get("accuracy")).and_then(number)),
        "location_source" => {
            let source = place().and_then(|place| place.get("source")).and_then(text).map(Value::raw);
            match source {
                Some("SOURCE_GPS") => Direct::Text(Cow::Borrowed("\"gps\"")),
                Some("SOURCE_REGISTRY") => Direct::Text(Cow::Borrowed("\"registry\"")),
                Some("SOURCE_IP_GEOLOCATION") => Direct::Text(Cow::Borrowed("\"ip_geolocation\"")),
                _ => Direct::Absent,
            }
        }
        _ => Direct::Absent,
    }
}

/// The value of a single payload field, its levels joined by `/`.
pub(in crate::dialect::lorawan) fn single_field<'a>(message: Value<'a>, field: &str) -> Option<Value<'a>> {
    let fields = at(message, &["uplink_message", "decoded_payload"])?;
    field.split('/').try_fold(fields, Value::get)
}

/// A whole number, which the stack writes as text where it may be long.
fn decimal(value: Value<'_>) -> Option<u64> {
    matches!(value.kind(), Kind::Plain | Kind::Int).then(|| value.raw().parse().ok()).flatten()
}

/// A duration such as `0.051456s` in nanoseconds, digit by digit.
fn nanoseconds(value: Value<'_>) -> Option<u64> {
    let text = text(value)?.raw().strip_suffix('s')?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || fraction.len() > 9 || !is_digits(seconds) || !is_digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(fraction).filter(|sum| *sum > 0)
}

#[cfg(test)]
mod tests;
