//! A device in the shape that V2 programs know (V3 4.5).

use super::part::{Device, Part};
use crate::client::managed::nanoseconds;
use crate::rpc::proto::{handler, lorawan, v3};

/// The four servers, as reports name them.
pub const SERVERS: [&str; 4] = ["IS", "JS", "NS", "AS"];

impl Device {
    /// The device as a handler of V2 would give it.
    #[must_use]
    pub fn to_v2(&self) -> handler::Device {
        let (identity, ids) = (&self.identity.device, self.identity.ids());
        let app_id = ids.application_ids.map(|ids| ids.application_id).unwrap_or_default();
        let place = identity.locations.get("user").copied().unwrap_or_default();
        let session = |part: &Option<Part>| part.as_ref().and_then(|part| part.device.session.clone());
        let (network, application) = (session(&self.network), session(&self.application));
        let settings = self.network.as_ref().and_then(|part| part.device.mac_settings.clone()).unwrap_or_default();
        let address = network.as_ref().or(application.as_ref()).map(|session| session.dev_addr.clone());
        let keys = |session: &Option<v3::Session>| session.as_ref().and_then(|session| session.keys.clone());
        let root = self.join.as_ref().and_then(|part| part.device.root_keys.clone());
        let join = self.join.as_ref().map(|part| part.device.used_dev_nonces.clone()).unwrap_or_default();
        let lorawan = lorawan::Device {
            app_eui: ids.join_eui,
            dev_eui: ids.dev_eui,
            app_id: app_id.clone(),
            dev_id: ids.device_id.clone(),
            dev_addr: address.unwrap_or_default(),
            nwk_s_key: key(keys(&network).and_then(|keys| keys.f_nwk_s_int_key)),
            app_s_key: key(keys(&application).and_then(|keys| keys.app_s_key)),
            app_key: key(root.and_then(|root| root.app_key)),
            f_cnt_up: network.as_ref().map_or(0, |session| session.last_f_cnt_up),
            f_cnt_down: down_counter(network.as_ref(), application.as_ref()),
            disable_f_cnt_check: settings.resets_f_cnt.is_some_and(|flag| flag.value),
            // What nobody has set is 32 bits on this network.
            uses32_bit_f_cnt: settings.supports_32_bit_f_cnt.is_none_or(|flag| flag.value),
            activation_constraints: String::new(),
            used_dev_nonces: join.into_iter().map(|nonce| nonce.to_be_bytes()[2..].to_vec()).collect(),
            used_app_nonces: Vec::new(),
            last_seen: identity.last_seen_at.as_ref().map_or(0, nanoseconds),
        };
        #[expect(clippy::cast_possible_truncation, reason = "V2 has places in single precision")]
        handler::Device {
            app_id,
            dev_id: ids.device_id,
            device: Some(handler::device::Device::LorawanDevice(lorawan)),
            latitude: place.latitude as f32,
            longitude: place.longitude as f32,
            altitude: place.altitude,
            attributes: identity.attributes.clone(),
            description: identity.description.clone(),
        }
    }
}

/// Below LoRaWAN 1.1 both servers count the same frames; what was sent last is what counts.
fn down_counter(network: Option<&v3::Session>, application: Option<&v3::Session>) -> u32 {
    let network = network.map_or(0, |session| session.last_n_f_cnt_down);
    application.map_or(0, |session| session.last_a_f_cnt_down).max(network)
}

fn key(envelope: Option<v3::KeyEnvelope>) -> Vec<u8> {
    envelope.map(|envelope| envelope.key).unwrap_or_default()
}
