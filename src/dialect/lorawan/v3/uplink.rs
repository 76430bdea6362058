//! An uplink of V3 in V2's shape (V3 4.1, 4.2): what is zero on V3 is left out there, and stands here.

use std::fmt::Write as _;

use crate::dialect::json::{Kind, Value};

/// A field of V2's uplink, without a look at the rest.
#[derive(Clone, Copy, Debug)]
pub enum Direct<'a> {
    /// It stands in the message of V3.
    There(Value<'a>),
    /// It does not, and this JSON text is what V2 would have.
    Default(&'static str),
    /// V2 would not have it either.
    Absent,
    /// It has to be put together: [`in_v2_shape`].
    Made,
}

/// V2's fields, in its order.
const FIELDS: [&str; 10] = [
    "app_id",
    "dev_id",
    "hardware_serial",
    "port",
    "counter",
    "confirmed",
    "payload_raw",
    "payload_fields",
    "metadata",
    "attributes",
];

fn at<'a>(value: Value<'a>, path: &[&str]) -> Option<Value<'a>> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn text(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| matches!(value.kind(), Kind::Plain | Kind::Escaped) && !value.raw().is_empty())
}

fn integer(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| value.kind() == Kind::Int)
}

fn number(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| matches!(value.kind(), Kind::Int | Kind::Float))
}

fn object(value: Value<'_>) -> Option<Value<'_>> {
    Some(value).filter(|value| value.kind() == Kind::Object && value.members().next().is_some())
}

/// A field of V2 out of a message of V3.
pub(in crate::dialect::lorawan) fn direct<'a>(message: Value<'a>, name: &str) -> Direct<'a> {
    let ids = |path: &[&str]| message.get("end_device_ids").and_then(|ids| at(ids, path)).and_then(text);
    let own = |key: &str| at(message, &["uplink_message", key]);
    let or = |value: Option<Value<'a>>, otherwise| value.map_or(otherwise, Direct::There);
    match name {
        "app_id" => or(ids(&["application_ids", "application_id"]), Direct::Default("\"\"")),
        "dev_id" => or(ids(&["device_id"]), Direct::Default("\"\"")),
        "hardware_serial" => or(ids(&["dev_eui"]), Direct::Absent),
        "port" => or(own("f_port").and_then(integer), Direct::Default("0")),
        "counter" => or(own("f_cnt").and_then(integer), Direct::Default("0")),
        "confirmed" => or(own("confirmed").filter(|value| value.kind() == Kind::True), Direct::Absent),
        "payload_raw" => or(own("frm_payload").and_then(text), {
            let has_port = own("f_port").and_then(Value::as_i64).is_some_and(|port| port != 0);
            Direct::Default(if has_port { "\"\"" } else { "null" })
        }),
        "payload_fields" => or(own("decoded_payload").and_then(object), Direct::Absent),
        "attributes" => or(own("attributes").and_then(object), Direct::Absent),
        "metadata" => Direct::Made,
        _ => Direct::Absent,
    }
}

/// The value of a single payload field, its levels joined by `/`.
pub(in crate::dialect::lorawan) fn single_field<'a>(message: Value<'a>, field: &str) -> Option<Value<'a>> {
    let fields = at(message, &["uplink_message", "decoded_payload"])?;
    field.split('/').try_fold(fields, Value::get)
}

/// The whole message as V2 would have written it.
pub(in crate::dialect::lorawan) fn in_v2_shape(message: Value<'_>) -> String {
    let mut out = Object::new(String::with_capacity(1024));
    for name in FIELDS {
        match direct(message, name) {
            Direct::There(value) => out.value(name, value),
            Direct::Default(text) => out.raw(name, text),
            Direct::Absent => {}
            Direct::Made => out.with(name, |out| metadata(message, out)),
        }
    }
    out.end()
}

/// A JSON object that is being written.
pub(super) struct Object {
    text: String,
    empty: bool,
}

impl Object {
    pub(super) fn new(mut text: String) -> Self {
        text.push('{');
        Self { text, empty: true }
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    /// A member as JSON text.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.text.push_str(json);
    }

    /// A member that is a value of another document.
    pub(super) fn value(&mut self, name: &str, value: Value<'_>) {
        self.name(name);
        if matches!(value.kind(), Kind::Plain | Kind::Escaped) {
            self.text.push('"');
            self.text.push_str(value.raw());
            self.text.push('"');
        } else {
            self.text.push_str(value.raw());
        }
    }

    /// A member that is a value, or else this JSON text.
    fn or(&mut self, name: &str, value: Option<Value<'_>>, otherwise: &str) {
        match value {
            Some(value) => self.value(name, value),
            None => self.raw(name, otherwise),
        }
    }

    /// A member, if there is one.
    pub(super) fn maybe(&mut self, name: &str, value: Option<Value<'_>>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// A member that is an object.
    pub(super) fn with(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.name(name);
        self.inner(fill);
    }

    fn inner(&mut self, fill: impl FnOnce(&mut Self)) {
        self.text.push('{');
        self.empty = true;
        fill(self);
        self.text.push('}');
        self.empty = false;
    }

    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

fn metadata(message: Value<'_>, out: &mut Object) {
    let own = |key: &str| at(message, &["uplink_message", key]);
    let settings = |path: &[&str]| own("settings").and_then(|settings| at(settings, path));
    let time = own("received_at").and_then(text).or_else(|| message.get("received_at").and_then(text));
    out.or("time", time, "\"\"");
    if let Some(hertz) = settings(&["frequency"]).and_then(decimal).filter(|hertz| *hertz > 0) {
        out.raw("frequency", &megahertz(hertz));
    }
    let rate = |path: &[&str]| settings(&["data_rate"]).and_then(|rate| at(rate, path));
    if let Some(lora) = rate(&["lora"]) {
        out.raw("modulation", "\"LORA\"");
        let factor = lora.get("spreading_factor").and_then(Value::as_i64);
        let bandwidth = lora.get("bandwidth").and_then(Value::as_i64);
        if let (Some(factor), Some(bandwidth)) = (factor, bandwidth) {
            let kilohertz = thousandths(bandwidth.unsigned_abs(), 3);
            out.raw("data_rate", &format!("\"SF{factor}BW{kilohertz}\""));
        }
    } else if let Some(fsk) = rate(&["fsk"]) {
        out.raw("modulation", "\"FSK\"");
        out.maybe("bit_rate", fsk.get("bit_rate").and_then(integer));
    } else if rate(&["lrfhss"]).is_some() {
        out.raw("modulation", "\"LR_FHSS\"");
    }
    if let Some(airtime) = own("consumed_airtime").and_then(nanoseconds) {
        out.raw("airtime", &airtime.to_string());
    }
    // Before release 3.22 it stood beside the data rate.
    let coding = rate(&["lora", "coding_rate"]).or_else(|| rate(&["lrfhss", "coding_rate"]));
    out.maybe("coding_rate", coding.or_else(|| settings(&["coding_rate"])).and_then(text));
    let mut antennas = own("rx_metadata").map(Value::elements).into_iter().flatten().peekable();
    if antennas.peek().is_some() {
        out.name("gateways");
        for (place, antenna) in antennas.enumerate() {
            out.text.push(if place == 0 { '[' } else { ',' });
            out.inner(|out| gateway(antenna, out));
        }
        out.text.push(']');
    }
    if let Some(place) = own("locations").and_then(own_location) {
        location(place, out);
    }
}

/// The device's own location: what the registry says, else what the payload says, else any, in the order of the names.
fn own_location(locations: Value<'_>) -> Option<Value<'_>> {
    let by_name = |name: &str| locations.get(name).and_then(object);
    by_name("user").or_else(|| by_name("frm-payload")).or_else(|| {
        let all = locations.members().filter(|(_, place)| object(*place).is_some());
        all.min_by_key(|(name, _)| name.unescaped()).map(|(_, place)| place)
    })
}

fn gateway(antenna: Value<'_>, out: &mut Object) {
    let ids = |key: &str| at(antenna, &["gateway_ids", key]).and_then(text);
    let broker = |key: &str| at(antenna, &["packet_broker", key]).and_then(text);
    let of_another_network = ids("gateway_id").is_none_or(|id| id.raw() == "packetbroker");
    let eui = ids("eui").or_else(|| broker("forwarder_gateway_eui"));
    let id = ids("gateway_id").filter(|_| !of_another_network).or_else(|| broker("forwarder_gateway_id"));
    match (id, eui) {
        (Some(id), _) => out.value("gtw_id", id),
        (None, Some(eui)) => out.raw("gtw_id", &format!("\"eui-{}\"", eui.raw().to_lowercase())),
        (None, None) => out.maybe("gtw_id", ids("gateway_id")),
    }
    out.maybe("eui", eui);
    let field = |key: &str| antenna.get(key);
    out.or("timestamp", field("timestamp").and_then(integer), "0");
    if let Some(fine) = field("fine_timestamp").and_then(decimal) {
        out.raw("fine_timestamp", &fine.to_string());
    }
    out.maybe("fine_timestamp_encrypted", field("encrypted_fine_timestamp").and_then(text));
    out.or("time", field("time").and_then(text), "\"\"");
    out.maybe("antenna", field("antenna_index").and_then(integer).filter(|index| index.raw() != "0"));
    out.or("channel", field("channel_index").and_then(integer), "0");
    out.or("rssi", field("rssi").and_then(number).or_else(|| field("channel_rssi").and_then(number)), "0");
    out.or("snr", field("snr").and_then(number), "0");
    out.raw("rf_chain", "0");
    if let Some(place) = field("location").and_then(object) {
        location(place, out);
    }
}

fn location(place: Value<'_>, out: &mut Object) {
    for name in ["latitude", "longitude", "altitude"] {
        out.or(name, place.get(name).and_then(number), "0");
    }
    out.maybe("location_accuracy", place.get("accuracy").and_then(number));
    let source = place.get("source").and_then(text).map(Value::raw);
    let source = match source {
        Some("SOURCE_GPS") => "\"gps\"",
        Some("SOURCE_REGISTRY") => "\"registry\"",
        Some("SOURCE_IP_GEOLOCATION") => "\"ip_geolocation\"",
        _ => return,
    };
    out.raw("location_source", source);
}

/// A whole number, which the stack writes as text where it may be long.
fn decimal(value: Value<'_>) -> Option<u64> {
    matches!(value.kind(), Kind::Plain | Kind::Int).then(|| value.raw().parse().ok()).flatten()
}

/// A number of Hz in MHz, digit by digit.
fn megahertz(hertz: u64) -> String {
    thousandths(hertz, 6)
}

/// A number with its point moved to the left, without zeros at the end.
fn thousandths(number: u64, places: u32) -> String {
    let whole = 10_u64.pow(places);
    let mut out = (number / whole).to_string();
    if !number.is_multiple_of(whole) {
        write!(out, ".{:0width$}", number % whole, width = places as usize).expect("writing to a String cannot fail");
        out.truncate(out.trim_end_matches('0').len());
    }
    out
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
