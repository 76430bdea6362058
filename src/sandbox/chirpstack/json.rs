//! What stands in events, as JSON (CS 3.3): zero values are written in `deviceInfo`, and left out further in.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};

use crate::dialect::lorawan::base64;
use crate::rpc::proto::chirpstack::common::{self, DeviceClass, LocationSource};
use crate::rpc::proto::chirpstack::gw::modulation::Parameters;
use crate::rpc::proto::chirpstack::gw::{self, CodeRate, CrcStatus, timing};
use crate::rpc::proto::chirpstack::integration::DeviceInfo;

/// What the server says of a number that JSON does not have; the event is lost then.
const INFINITE: &str = "Cannot serialize infinity as google.protobuf.Value.number_value";

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A time with its zone, with as many digits as it needs in groups of three.
pub(super) fn instant(time: Option<prost_types::Timestamp>) -> String {
    let time = time.unwrap_or_default();
    let at = jiff::Timestamp::new(time.seconds, time.nanos).unwrap_or_default();
    let digits = match time.nanos {
        0 => 0,
        nanos if nanos % 1_000_000 == 0 => 3,
        nanos if nanos % 1000 == 0 => 6,
        _ => 9,
    };
    format!("{at:.digits$}").replace('Z', "+00:00")
}

/// A duration as text.
fn seconds(duration: prost_types::Duration) -> String {
    if duration.nanos == 0 {
        return format!("{}s", duration.seconds);
    }
    format!("{}.{:09}s", duration.seconds, duration.nanos)
}

/// A free object.
pub(super) struct Free<'a>(pub(super) &'a Struct);

impl Serialize for Free<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields.len()))?;
        for (name, value) in &self.0.fields {
            map.serialize_entry(name, &FreeValue(value))?;
        }
        map.end()
    }
}

struct FreeValue<'a>(&'a Value);

impl Serialize for FreeValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::NumberValue(number)) if number.is_infinite() => Err(S::Error::custom(INFINITE)),
            Some(Kind::NumberValue(number)) if number.is_nan() => serializer.serialize_unit(),
            Some(Kind::NumberValue(number)) => serializer.serialize_f64(*number),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::BoolValue(flag)) => serializer.serialize_bool(*flag),
            Some(Kind::StructValue(object)) => Free(object).serialize(serializer),
            Some(Kind::ListValue(list)) => serializer.collect_seq(list.values.iter().map(FreeValue)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info<'a> {
    tenant_id: &'a str,
    tenant_name: &'a str,
    application_id: &'a str,
    application_name: &'a str,
    device_profile_id: &'a str,
    device_profile_name: &'a str,
    device_name: &'a str,
    dev_eui: &'a str,
    device_class_enabled: &'static str,
    tags: BTreeMap<&'a str, &'a str>,
}

pub(super) fn info(of: Option<&DeviceInfo>) -> Option<Info<'_>> {
    of.map(|info| Info {
        tenant_id: &info.tenant_id,
        tenant_name: &info.tenant_name,
        application_id: &info.application_id,
        application_name: &info.application_name,
        device_profile_id: &info.device_profile_id,
        device_profile_name: &info.device_profile_name,
        device_name: &info.device_name,
        dev_eui: &info.dev_eui,
        device_class_enabled: DeviceClass::try_from(info.device_class_enabled).unwrap_or_default().as_str_name(),
        tags: info.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    #[serde(skip_serializing_if = "is_zero")]
    latitude: f64,
    #[serde(skip_serializing_if = "is_zero")]
    longitude: f64,
    #[serde(skip_serializing_if = "is_zero")]
    altitude: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "is_zero")]
    accuracy: f32,
}

pub(super) fn place(of: &common::Location) -> Place {
    let source = LocationSource::try_from(of.source).unwrap_or_default();
    Place {
        latitude: of.latitude,
        longitude: of.longitude,
        altitude: of.altitude,
        source: (source != LocationSource::Unknown).then(|| source.as_str_name()),
        accuracy: of.accuracy,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reception<'a> {
    gateway_id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    uplink_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ns_time: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    rssi: i32,
    #[serde(skip_serializing_if = "is_zero")]
    snr: f32,
    #[serde(skip_serializing_if = "is_zero")]
    channel: u32,
    #[serde(skip_serializing_if = "is_zero")]
    rf_chain: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Place>,
    #[serde(skip_serializing_if = "String::is_empty")]
    context: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<&'a str, &'a str>,
    crc_status: &'static str,
}

pub(super) fn reception(of: &gw::UplinkRxInfo) -> Reception<'_> {
    Reception {
        gateway_id: &of.gateway_id,
        uplink_id: of.uplink_id,
        gw_time: of.gw_time.map(|time| instant(Some(time))),
        ns_time: of.ns_time.map(|time| instant(Some(time))),
        rssi: of.rssi,
        snr: of.snr,
        channel: of.channel,
        rf_chain: of.rf_chain,
        location: of.location.as_ref().map(place),
        context: base64::encode(&of.context),
        metadata: of.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        crc_status: CrcStatus::try_from(of.crc_status).unwrap_or(CrcStatus::NoCrc).as_str_name(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Modulation {
    lora: Lora,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lora {
    bandwidth: u32,
    spreading_factor: u32,
    code_rate: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    polarization_inversion: bool,
}

pub(super) fn modulation(of: Option<&gw::Modulation>) -> Option<Modulation> {
    let Some(Parameters::Lora(lora)) = of.and_then(|modulation| modulation.parameters.as_ref()) else { return None };
    Some(Modulation {
        lora: Lora {
            bandwidth: lora.bandwidth,
            spreading_factor: lora.spreading_factor,
            code_rate: CodeRate::try_from(lora.code_rate).unwrap_or_default().as_str_name(),
            polarization_inversion: lora.polarization_inversion,
        },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    frequency: u32,
    #[serde(skip_serializing_if = "is_zero")]
    power: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    modulation: Option<Modulation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timing: Option<Timing>,
    #[serde(skip_serializing_if = "String::is_empty")]
    context: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Timing {
    Immediately {},
    Delay { delay: String },
}

pub(super) fn downlink(of: &gw::DownlinkTxInfo) -> Sent {
    let timing = match of.timing.as_ref().and_then(|timing| timing.parameters.as_ref()) {
        Some(timing::Parameters::Immediately(_)) => Some(Timing::Immediately {}),
        Some(timing::Parameters::Delay(delay)) => {
            Some(Timing::Delay { delay: seconds(delay.delay.unwrap_or_default()) })
        }
        _ => None,
    };
    Sent {
        frequency: of.frequency,
        power: of.power,
        modulation: modulation(of.modulation.as_ref()),
        timing,
        context: base64::encode(&of.context),
    }
}
