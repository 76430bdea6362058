//! What events say of devices, of the air, and of what went wrong.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::downlink::{Window, stamp};
use super::event::Event;
use super::registry::Registry;
use super::server::Server;
use crate::rpc::proto::chirpstack::common::{DeviceClass, Location, LocationSource};
use crate::rpc::proto::chirpstack::gw::modulation::Parameters;
use crate::rpc::proto::chirpstack::gw::{
    CodeRate, CrcStatus, DelayTimingInfo, DownlinkTxInfo, ImmediatelyTimingInfo, LoraModulationInfo, Modulation,
    Timing, UplinkRxInfo, UplinkTxInfo, timing,
};
use crate::rpc::proto::chirpstack::integration::{DeviceInfo, LogCode, LogEvent, LogLevel};
use crate::sandbox::air::{ALTITUDE, Heard, Reception};

/// What gateways keep for themselves.
const CONTEXT: &[u8] = &[0xAA, 0xBB, 0xCC, 0];
const BANDWIDTH_HZ: u32 = 125_000;
/// The second window of the European band.
const RX2: (u32, u32, i32) = (869_525_000, 12, 29);
const POWER_DBM: i32 = 16;
pub(super) const REGION: &str = "eu868";

/// What events say of a device; `txack` does not have the tags of the application (seen).
pub(super) fn device_info(registry: &Registry, dev_eui: &str, with_application: bool) -> Option<DeviceInfo> {
    let record = &registry.devices.get(dev_eui)?.record.value;
    let application = registry.applications.get(&record.application_id).map(|known| &known.value);
    let tenant = application.and_then(|known| registry.tenants.get(&known.tenant_id)).map(|known| &known.value);
    let profile = registry.profile_of(record);
    let mut tags: HashMap<String, String> =
        application.filter(|_| with_application).map(|known| known.tags.clone()).unwrap_or_default();
    tags.extend(profile.map(|profile| profile.tags.clone()).unwrap_or_default());
    tags.extend(record.tags.clone());
    let class =
        if profile.is_some_and(|profile| profile.supports_class_c) { DeviceClass::ClassC } else { DeviceClass::ClassA };
    Some(DeviceInfo {
        tenant_id: tenant.map(|known| known.id.clone()).unwrap_or_default(),
        tenant_name: tenant.map(|known| known.name.clone()).unwrap_or_default(),
        application_id: record.application_id.clone(),
        application_name: application.map(|known| known.name.clone()).unwrap_or_default(),
        device_profile_id: record.device_profile_id.clone(),
        device_profile_name: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
        device_name: record.name.clone(),
        dev_eui: record.dev_eui.clone(),
        tags,
        device_class_enabled: class.into(),
    })
}

fn lora(spreading: u32, polarization_inversion: bool) -> Modulation {
    let lora = LoraModulationInfo {
        bandwidth: BANDWIDTH_HZ,
        spreading_factor: spreading,
        code_rate: CodeRate::Cr45.into(),
        polarization_inversion,
        ..LoraModulationInfo::default()
    };
    Modulation { parameters: Some(Parameters::Lora(lora)) }
}

fn spreading(tx_info: &UplinkTxInfo) -> u32 {
    match tx_info.modulation.as_ref().and_then(|modulation| modulation.parameters.as_ref()) {
        Some(Parameters::Lora(lora)) => lora.spreading_factor,
        _ => 7,
    }
}

/// The data rate of a frame in the European band.
pub(super) fn data_rate(tx_info: &UplinkTxInfo) -> u32 {
    12_u32.saturating_sub(spreading(tx_info))
}

/// How a frame was sent.
pub(super) fn tx_info(reception: &Reception) -> UplinkTxInfo {
    UplinkTxInfo { frequency: reception.frequency_hz, modulation: Some(lora(reception.spreading.into(), false)) }
}

/// How each gateway has heard it.
pub(super) fn rx_info(reception: &Reception, at: Timestamp, random: &mut fastrand::Rng) -> Vec<UplinkRxInfo> {
    let heard = |heard: &Heard| UplinkRxInfo {
        gateway_id: hex::encode(heard.gateway.eui),
        uplink_id: random.u32(1..),
        gw_time: heard.gateway.has_clock.then(|| stamp(at)),
        ns_time: Some(stamp(at)),
        rssi: heard.rssi,
        #[expect(clippy::cast_possible_truncation, reason = "quarters, far below what it holds")]
        snr: heard.snr as f32,
        channel: reception.channel.into(),
        location: Some(Location {
            latitude: heard.gateway.latitude,
            longitude: heard.gateway.longitude,
            altitude: ALTITUDE.into(),
            source: LocationSource::Config.into(),
            ..Location::default()
        }),
        context: CONTEXT.to_vec(),
        metadata: [("region_common_name".to_owned(), "EU868".to_owned())].into(),
        crc_status: CrcStatus::CrcOk.into(),
        ..UplinkRxInfo::default()
    };
    reception.gateways.iter().map(heard).collect()
}

/// How a downlink is sent.
pub(super) fn timing(window: Window, tx_info: &UplinkTxInfo, rx_info: &UplinkRxInfo) -> DownlinkTxInfo {
    let (frequency, spreading, power, timing) = match window {
        Window::AfterUplink => {
            let delay = prost_types::Duration::try_from(Duration::from_secs(1)).ok();
            let timing = timing::Parameters::Delay(DelayTimingInfo { delay });
            (tx_info.frequency, spreading(tx_info), POWER_DBM, timing)
        }
        Window::AtOnce => (RX2.0, RX2.1, RX2.2, timing::Parameters::Immediately(ImmediatelyTimingInfo {})),
    };
    DownlinkTxInfo {
        frequency,
        power,
        modulation: Some(lora(spreading, true)),
        timing: Some(Timing { parameters: Some(timing) }),
        context: rx_info.context.clone(),
        ..DownlinkTxInfo::default()
    }
}

/// What a `log` says.
#[derive(Debug)]
pub(super) struct Log {
    level: LogLevel,
    code: LogCode,
    description: String,
    context: HashMap<String, String>,
}

impl Log {
    pub(super) fn error(code: LogCode, description: impl Into<String>) -> Self {
        Self { level: LogLevel::Error, code, description: description.into(), context: HashMap::new() }
    }

    pub(super) fn warning(code: LogCode, description: impl Into<String>) -> Self {
        Self { level: LogLevel::Warning, ..Self::error(code, description) }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.context.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Server {
    /// Publish a `log`.
    pub(super) fn tell_log(&self, registry: &mut Registry, dev_eui: &str, log: Log) {
        let event = LogEvent {
            time: Some(stamp(Timestamp::now())),
            device_info: device_info(registry, dev_eui, true),
            level: log.level.into(),
            code: log.code.into(),
            description: log.description,
            context: log.context,
        };
        self.tell(registry, dev_eui, &Event::Log(event));
    }
}
