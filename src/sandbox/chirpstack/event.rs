//! The events (CS 3.4), and their JSON: zero values are written at the top.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::json::{
    Free, Info, Modulation, Place, Reception, Sent, downlink, info, instant, modulation, place, reception,
};
use crate::dialect::lorawan::base64;
use crate::rpc::proto::chirpstack::integration::{
    AckEvent, DeviceInfo, IntegrationEvent, JoinEvent, LocationEvent, LogCode, LogEvent, LogLevel, StatusEvent,
    TxAckEvent, UplinkEvent,
};

/// An event of whatever kind.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Up(UplinkEvent),
    Join(JoinEvent),
    Ack(AckEvent),
    TxAck(TxAckEvent),
    Log(LogEvent),
    Status(StatusEvent),
    Location(LocationEvent),
    Integration(IntegrationEvent),
}

impl Event {
    /// Its name in topics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Join(_) => "join",
            Self::Ack(_) => "ack",
            Self::TxAck(_) => "txack",
            Self::Log(_) => "log",
            Self::Status(_) => "status",
            Self::Location(_) => "location",
            Self::Integration(_) => "integration",
        }
    }

    /// When it happened.
    pub(super) fn time(&self) -> Option<prost_types::Timestamp> {
        match self {
            Self::Up(event) => event.time,
            Self::Join(event) => event.time,
            Self::Ack(event) => event.time,
            Self::TxAck(event) => event.time,
            Self::Log(event) => event.time,
            Self::Status(event) => event.time,
            Self::Location(event) => event.time,
            Self::Integration(event) => event.time,
        }
    }

    /// The short form that the web interface shows.
    pub(super) fn properties(&self) -> HashMap<String, String> {
        let texts =
            |pairs: &[(&str, String)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        match self {
            Self::Up(event) => texts(&[
                ("DR", event.dr.to_string()),
                ("FCnt", event.f_cnt.to_string()),
                ("FPort", event.f_port.to_string()),
                ("Data", hex::encode(&event.data)),
            ]),
            Self::Join(event) => texts(&[("DevAddr", event.dev_addr.clone())]),
            Self::Log(event) => texts(&[
                ("Level", LogLevel::try_from(event.level).unwrap_or_default().as_str_name().to_owned()),
                ("Code", LogCode::try_from(event.code).unwrap_or_default().as_str_name().to_owned()),
            ]),
            _ => HashMap::new(),
        }
    }

    /// As protobuf.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        use prost::Message as _;
        match self {
            Self::Up(event) => event.encode_to_vec(),
            Self::Join(event) => event.encode_to_vec(),
            Self::Ack(event) => event.encode_to_vec(),
            Self::TxAck(event) => event.encode_to_vec(),
            Self::Log(event) => event.encode_to_vec(),
            Self::Status(event) => event.encode_to_vec(),
            Self::Location(event) => event.encode_to_vec(),
            Self::Integration(event) => event.encode_to_vec(),
        }
    }

    /// As JSON.
    ///
    /// # Errors
    /// The server's words, for what cannot be written; it is lost then.
    pub(super) fn to_json(&self) -> Result<String, String> {
        let text = match self {
            Self::Up(event) => serde_json::to_string(&up(event)),
            Self::Join(event) => serde_json::to_string(&join(event)),
            Self::Ack(event) => serde_json::to_string(&ack(event)),
            Self::TxAck(event) => serde_json::to_string(&tx_ack(event)),
            Self::Log(event) => serde_json::to_string(&log(event)),
            Self::Status(event) => serde_json::to_string(&status(event)),
            Self::Location(event) => serde_json::to_string(&location(event)),
            Self::Integration(event) => serde_json::to_string(&integration(event)),
        };
        text.map_err(|error| error.to_string())
    }
}

/// The keys that most events have first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<&'a str>,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_info: Option<Info<'a>>,
}

fn head<'a>(id: &'a str, time: Option<prost_types::Timestamp>, device: Option<&'a DeviceInfo>) -> Head<'a> {
    Head { deduplication_id: Some(id), time: instant(time), device_info: info(device) }
}

fn up(event: &UplinkEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Up<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        dev_addr: &'a str,
        adr: bool,
        dr: u32,
        f_cnt: u32,
        f_port: u32,
        confirmed: bool,
        data: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        object: Option<Free<'a>>,
        rx_info: Vec<Reception<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tx_info: Option<Heard>,
        region_config_id: &'a str,
    }
    #[derive(Serialize)]
    struct Heard {
        frequency: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        modulation: Option<Modulation>,
    }
    Up {
        head: head(&event.deduplication_id, event.time, event.device_info.as_ref()),
        dev_addr: &event.dev_addr,
        adr: event.adr,
        dr: event.dr,
        f_cnt: event.f_cnt,
        f_port: event.f_port,
        confirmed: event.confirmed,
        data: base64::encode(&event.data),
        object: event.object.as_ref().map(Free),
        rx_info: event.rx_info.iter().map(reception).collect(),
        tx_info: event
            .tx_info
            .as_ref()
            .map(|info| Heard { frequency: info.frequency, modulation: modulation(info.modulation.as_ref()) }),
        region_config_id: &event.region_config_id,
    }
}

fn join(event: &JoinEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Join<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        dev_addr: &'a str,
        region_config_id: &'a str,
    }
    Join {
        head: head(&event.deduplication_id, event.time, event.device_info.as_ref()),
        dev_addr: &event.dev_addr,
        region_config_id: &event.region_config_id,
    }
}

fn ack(event: &AckEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Ack<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        queue_item_id: &'a str,
        acknowledged: bool,
        f_cnt_down: u32,
    }
    Ack {
        head: head(&event.deduplication_id, event.time, event.device_info.as_ref()),
        queue_item_id: &event.queue_item_id,
        acknowledged: event.acknowledged,
        f_cnt_down: event.f_cnt_down,
    }
}

fn tx_ack(event: &TxAckEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct TxAck<'a> {
        downlink_id: u32,
        time: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        device_info: Option<Info<'a>>,
        queue_item_id: &'a str,
        f_cnt_down: u32,
        gateway_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tx_info: Option<Sent>,
    }
    TxAck {
        downlink_id: event.downlink_id,
        time: instant(event.time),
        device_info: info(event.device_info.as_ref()),
        queue_item_id: &event.queue_item_id,
        f_cnt_down: event.f_cnt_down,
        gateway_id: &event.gateway_id,
        tx_info: event.tx_info.as_ref().map(downlink),
    }
}

fn log(event: &LogEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Log<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        level: &'static str,
        code: &'static str,
        description: &'a str,
        context: BTreeMap<&'a str, &'a str>,
    }
    Log {
        head: Head { deduplication_id: None, time: instant(event.time), device_info: info(event.device_info.as_ref()) },
        level: LogLevel::try_from(event.level).unwrap_or_default().as_str_name(),
        code: LogCode::try_from(event.code).unwrap_or_default().as_str_name(),
        description: &event.description,
        context: event.context.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    }
}

fn status(event: &StatusEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Status<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        margin: i32,
        external_power_source: bool,
        battery_level_unavailable: bool,
        battery_level: f32,
    }
    Status {
        head: head(&event.deduplication_id, event.time, event.device_info.as_ref()),
        margin: event.margin,
        external_power_source: event.external_power_source,
        battery_level_unavailable: event.battery_level_unavailable,
        battery_level: event.battery_level,
    }
}

fn location(event: &LocationEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Located<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<Place>,
    }
    Located {
        head: head(&event.deduplication_id, event.time, event.device_info.as_ref()),
        location: event.location.as_ref().map(place),
    }
}

fn integration(event: &IntegrationEvent) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Found<'a> {
        #[serde(flatten)]
        head: Head<'a>,
        integration_name: &'a str,
        event_type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        object: Option<Free<'a>>,
    }
    Found {
        head: head(&event.deduplication_id, event.time, event.device_info.as_ref()),
        integration_name: &event.integration_name,
        event_type: &event.event_type,
        object: event.object.as_ref().map(Free),
    }
}
