//! The columns that every table has: what the network says of an uplink. Their names are those of V2's message.

use super::Per;
use super::kind::Kind;
use crate::dialect::json::{self, Value};

/// Where a value stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Uplink(&'static str),
    Metadata(&'static str),
    Gateway(&'static str),
    /// The gateway's ID, or its EUI where it has none.
    GatewayId,
    /// How many gateways heard it.
    Count,
}

type Fixed = (&'static str, Kind, Place);

const OF_UPLINK: [Fixed; 22] = [
    ("time", Kind::Time, Place::Metadata("time")),
    ("app_id", Kind::Text, Place::Uplink("app_id")),
    ("dev_id", Kind::Text, Place::Uplink("dev_id")),
    ("hardware_serial", Kind::Text, Place::Uplink("hardware_serial")),
    ("port", Kind::Int, Place::Uplink("port")),
    ("counter", Kind::Int, Place::Uplink("counter")),
    ("is_retry", Kind::Bool, Place::Uplink("is_retry")),
    ("confirmed", Kind::Bool, Place::Uplink("confirmed")),
    ("payload", Kind::Bytes, Place::Uplink("payload_raw")),
    ("frequency", Kind::Float, Place::Metadata("frequency")),
    ("modulation", Kind::Text, Place::Metadata("modulation")),
    ("data_rate", Kind::Text, Place::Metadata("data_rate")),
    ("bit_rate", Kind::Int, Place::Metadata("bit_rate")),
    ("coding_rate", Kind::Text, Place::Metadata("coding_rate")),
    ("airtime", Kind::Int, Place::Metadata("airtime")),
    ("latitude", Kind::Float, Place::Metadata("latitude")),
    ("longitude", Kind::Float, Place::Metadata("longitude")),
    ("altitude", Kind::Float, Place::Metadata("altitude")),
    ("gateways", Kind::Int, Place::Count),
    ("gateway", Kind::Text, Place::GatewayId),
    ("rssi", Kind::Float, Place::Gateway("rssi")),
    ("snr", Kind::Float, Place::Gateway("snr")),
];

/// What follows where each gateway has a row of its own.
const OF_GATEWAY: [Fixed; 7] = [
    ("gateway_eui", Kind::Text, Place::Gateway("eui")),
    ("gateway_time", Kind::Time, Place::Gateway("time")),
    ("gateway_latitude", Kind::Float, Place::Gateway("latitude")),
    ("gateway_longitude", Kind::Float, Place::Gateway("longitude")),
    ("gateway_altitude", Kind::Float, Place::Gateway("altitude")),
    ("antenna", Kind::Int, Place::Gateway("antenna")),
    ("channel", Kind::Int, Place::Gateway("channel")),
];

/// Names and kinds, in their order.
pub(super) fn columns(per: Per) -> impl Iterator<Item = (&'static str, Kind)> {
    fixed(per).map(|(name, kind, _)| (*name, *kind))
}

fn fixed(per: Per) -> impl Iterator<Item = &'static Fixed> {
    let further: &[Fixed] = if per == Per::Gateway { &OF_GATEWAY } else { &[] };
    OF_UPLINK.iter().chain(further)
}

/// Whether a column has this name, of either kind of table: a payload field never has.
pub(super) fn is_taken(name: &str) -> bool {
    fixed(Per::Gateway).any(|(taken, ..)| *taken == name)
}

/// A value of a column of [`columns`].
pub(super) enum Found<'a> {
    Value(Value<'a>),
    Number(i64),
}

/// The rows of an uplink: for each, what gateway it is of.
pub(super) fn rows(per: Per, uplink: Value<'_>) -> Vec<Option<Value<'_>>> {
    let gateways = || gateways(uplink);
    match per {
        Per::Uplink => {
            // The one that heard it best.
            let rssi = |gateway: &Value<'_>| gateway.get("rssi").and_then(Value::as_f64).unwrap_or(f64::NEG_INFINITY);
            vec![gateways().reduce(|best, other| if rssi(&other) > rssi(&best) { other } else { best })]
        }
        Per::Gateway if gateways().next().is_none() => vec![None],
        Per::Gateway => gateways().map(Some).collect(),
    }
}

fn gateways(uplink: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    uplink.get("metadata").and_then(|metadata| metadata.get("gateways")).into_iter().flat_map(Value::elements)
}

/// The values of a row, by their columns; what is missing or `null` is left out.
pub(super) fn values<'a>(
    per: Per,
    uplink: Value<'a>,
    gateway: Option<Value<'a>>,
) -> impl Iterator<Item = (usize, Found<'a>)> {
    let metadata = uplink.get("metadata");
    let of_gateway = move |name: &str| gateway.and_then(|gateway| gateway.get(name));
    fixed(per).enumerate().filter_map(move |(index, (_, _, place))| {
        let value = match *place {
            Place::Uplink(name) => uplink.get(name),
            Place::Metadata(name) => metadata.and_then(|metadata| metadata.get(name)),
            Place::Gateway(name) => of_gateway(name),
            Place::GatewayId => of_gateway("gtw_id").or_else(|| of_gateway("eui")),
            Place::Count => {
                return Some((index, Found::Number(i64::try_from(gateways(uplink).count()).unwrap_or(i64::MAX))));
            }
        };
        value.filter(|value| value.kind() != json::Kind::Null).map(|value| (index, Found::Value(value)))
    })
}
