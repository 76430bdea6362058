//! Devices and applications between the store and the wire (V2 2.6, 2.7).

use tonic::Status;

use crate::rpc::proto::{handler, lorawan};
use crate::sandbox::v2::{Device, Settings};

/// A field of a fixed length: absent means `None`, any other length makes the whole request unreadable.
fn fixed<const LENGTH: usize>(name: &str, bytes: &[u8]) -> Result<Option<[u8; LENGTH]>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| {
        let text =
            format!("grpc: error unmarshalling request: {name}: invalid length {}, expected {LENGTH}", bytes.len());
        Status::internal(text)
    })
}

/// A stored device as the handler answers it. Lists have no counters.
pub(super) fn to_wire(app_id: &str, dev_id: &str, device: &Device, counters: bool) -> handler::Device {
    let (latitude, longitude, altitude) = device.location.unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "the wire has single precision")]
    let (latitude, longitude) = (latitude as f32, longitude as f32);
    handler::Device {
        app_id: app_id.to_owned(),
        dev_id: dev_id.to_owned(),
        latitude,
        longitude,
        altitude,
        attributes: device.attributes.clone().into_iter().collect(),
        description: device.description.clone(),
        device: Some(handler::device::Device::LorawanDevice(lorawan::Device {
            app_eui: device.app_eui.to_vec(),
            dev_eui: device.dev_eui.to_vec(),
            app_id: app_id.to_owned(),
            dev_id: dev_id.to_owned(),
            dev_addr: device.dev_addr.to_vec(),
            nwk_s_key: device.nwk_s_key.to_vec(),
            app_s_key: device.app_s_key.to_vec(),
            app_key: device.app_key.to_vec(),
            f_cnt_up: if counters { device.uplinks.saturating_sub(1) } else { 0 },
            f_cnt_down: if counters { device.downlinks } else { 0 },
            disable_f_cnt_check: device.disable_f_cnt_check,
            uses32_bit_f_cnt: device.uses32_bit_f_cnt,
            activation_constraints: device.activation_constraints.clone(),
            used_dev_nonces: Vec::new(),
            used_app_nonces: Vec::new(),
            last_seen: if counters { device.last_seen } else { 0 },
        })),
    }
}

/// The number that has the same shortest digits: 52.3736 stays 52.3736.
fn shortest(single: f32) -> f64 {
    single.to_string().parse().unwrap_or_else(|_| f64::from(single))
}

/// What a device becomes by a request. Everything is taken from the request, except an address or keys that it does not
/// have and what only the network knows.
pub(in crate::sandbox::v2) fn from_wire(wire: &handler::Device, known: Option<&Device>) -> Result<Device, Status> {
    let Some(handler::device::Device::LorawanDevice(lorawan)) = &wire.device else {
        return Err(Status::invalid_argument("Device not valid: No LoRaWAN Device"));
    };
    let old = known.cloned().unwrap_or_else(|| Device { acknowledges: true, ..Device::default() });
    let located = wire.latitude != 0.0 || wire.longitude != 0.0 || wire.altitude != 0;
    // The record has the counter of the last uplink, the store that of the next one.
    let uplinks = match lorawan.f_cnt_up {
        same if same == old.uplinks.saturating_sub(1) => old.uplinks,
        0 => 0,
        last => last.saturating_add(1),
    };
    Ok(Device {
        app_eui: fixed("AppEUI", &lorawan.app_eui)?.unwrap_or_default(),
        dev_eui: fixed("DevEUI", &lorawan.dev_eui)?.unwrap_or_default(),
        dev_addr: fixed("DevAddr", &lorawan.dev_addr)?.unwrap_or(old.dev_addr),
        nwk_s_key: fixed("NwkSKey", &lorawan.nwk_s_key)?.unwrap_or(old.nwk_s_key),
        app_s_key: fixed("AppSKey", &lorawan.app_s_key)?.unwrap_or(old.app_s_key),
        app_key: fixed("AppKey", &lorawan.app_key)?.unwrap_or(old.app_key),
        disable_f_cnt_check: lorawan.disable_f_cnt_check,
        uses32_bit_f_cnt: lorawan.uses32_bit_f_cnt,
        activation_constraints: if lorawan.activation_constraints.is_empty() {
            "local".to_owned()
        } else {
            lorawan.activation_constraints.clone()
        },
        last_seen: old.last_seen,
        location: located.then(|| (shortest(wire.latitude), shortest(wire.longitude), wire.altitude)),
        attributes: wire.attributes.clone().into_iter().collect(),
        description: wire.description.clone(),
        uplinks,
        downlinks: lorawan.f_cnt_down,
        acknowledges: old.acknowledges,
    })
}

/// Settings as the handler answers them; the key is masked for callers that may not see devices.
pub(super) fn application(app_id: &str, settings: &Settings, may_see_key: bool) -> handler::Application {
    let key = &settings.register_on_join_access_key;
    let masked = if may_see_key || key.is_empty() { key.clone() } else { "...".to_owned() };
    handler::Application {
        app_id: app_id.to_owned(),
        decoder: settings.decoder.clone(),
        converter: settings.converter.clone(),
        validator: settings.validator.clone(),
        encoder: settings.encoder.clone(),
        payload_format: settings.payload_format.clone(),
        register_on_join_access_key: masked,
    }
}

/// The settings of a request, which replace all there are.
pub(super) fn settings(wire: &handler::Application, key: String) -> Settings {
    let functions = [&wire.decoder, &wire.converter, &wire.validator, &wire.encoder];
    let format = match wire.payload_format.as_str() {
        "" if functions.iter().any(|function| !function.is_empty()) => "custom",
        given => given,
    };
    Settings {
        payload_format: format.to_owned(),
        decoder: wire.decoder.clone(),
        converter: wire.converter.clone(),
        validator: wire.validator.clone(),
        encoder: wire.encoder.clone(),
        register_on_join_access_key: key,
    }
}
