//! What an application makes up by a call (V3 3.4.11): nothing was on the air, no counter moves.

use jiff::Timestamp;
use prost_reflect::DynamicMessage;

use super::event::{Content, DeviceIds, event, location, shortest, simulated};
use super::failure::Failure;
use super::json::{self, Object, list};
use super::stack::Stack;
use crate::rpc::json::double;
use crate::rpc::proto::v3::data_rate::Modulation;
use crate::rpc::proto::v3::{
    ApplicationUplink, EndDeviceVersionIdentifiers, NetworkIdentifiers, PacketBrokerMetadata, RxMetadata, TxSettings,
};

fn instant(at: Option<prost_types::Timestamp>) -> Option<String> {
    let at = at?;
    Some(json::instant(Timestamp::new(at.seconds, at.nanos).ok()?))
}

fn settings(settings: &TxSettings) -> String {
    let spaced = Object::spaced;
    let rate = settings.data_rate.as_ref().and_then(|rate| rate.modulation.as_ref());
    let rate = rate.map(|modulation| match modulation {
        Modulation::Lora(lora) => {
            let rate = spaced().number("bandwidth", lora.bandwidth).number("spreading_factor", lora.spreading_factor);
            spaced().put("lora", rate.text("coding_rate", &lora.coding_rate).end())
        }
        Modulation::Fsk(fsk) => spaced().put("fsk", spaced().number("bit_rate", fsk.bit_rate).end()),
        Modulation::Lrfhss(lrfhss) => {
            let rate = spaced()
                .number("modulation_type", lrfhss.modulation_type)
                .number("operating_channel_width", lrfhss.operating_channel_width);
            spaced().put("lrfhss", rate.text("coding_rate", &lrfhss.coding_rate).end())
        }
    });
    spaced()
        .maybe("data_rate", rate.map(Object::end))
        .text("frequency", &long(&settings.frequency))
        .flag("enable_crc", settings.enable_crc)
        .number("timestamp", settings.timestamp)
        .maybe("time", instant(settings.time))
        .text("concentrator_timestamp", &long(&settings.concentrator_timestamp))
        .end()
}

/// A number of 64 bits, which is a text; empty for zero.
fn long<N: Default + PartialEq + ToString>(number: &N) -> String {
    if *number == N::default() { String::new() } else { number.to_string() }
}

/// How a message came from another network.
fn broker(way: &PacketBrokerMetadata) -> String {
    Object::new()
        .text("message_id", &way.message_id)
        .text("forwarder_net_id", &hex::encode_upper(&way.forwarder_net_id))
        .text("forwarder_tenant_id", &way.forwarder_tenant_id)
        .text("forwarder_cluster_id", &way.forwarder_cluster_id)
        .text("forwarder_gateway_eui", &hex::encode_upper(&way.forwarder_gateway_eui))
        .maybe("forwarder_gateway_id", way.forwarder_gateway_id.as_deref().map(json::quoted))
        .text("home_network_net_id", &hex::encode_upper(&way.home_network_net_id))
        .text("home_network_tenant_id", &way.home_network_tenant_id)
        .text("home_network_cluster_id", &way.home_network_cluster_id)
        .end()
}

fn metadata(heard: &RxMetadata) -> String {
    let ids = heard.gateway_ids.clone().unwrap_or_default();
    let ids = Object::new().text("gateway_id", &ids.gateway_id).text("eui", &hex::encode_upper(ids.eui));
    Object::new()
        .put("gateway_ids", ids.end())
        .maybe("packet_broker", heard.packet_broker.as_ref().map(broker))
        .number("antenna_index", heard.antenna_index)
        .maybe("time", instant(heard.time))
        .number("timestamp", heard.timestamp)
        .text("fine_timestamp", &long(&heard.fine_timestamp))
        .float("rssi", shortest(heard.rssi))
        .maybe("signal_rssi", heard.signal_rssi.map(|rssi| double(shortest(rssi))))
        .float("channel_rssi", shortest(heard.channel_rssi))
        .float("rssi_standard_deviation", shortest(heard.rssi_standard_deviation))
        .float("snr", shortest(heard.snr))
        .text("frequency_offset", &long(&heard.frequency_offset))
        .maybe("location", heard.location.as_ref().map(location))
        .bytes("uplink_token", &heard.uplink_token)
        .number("channel_index", heard.channel_index)
        .number("hopping_width", heard.hopping_width)
        .number("frequency_drift", heard.frequency_drift)
        .maybe("gps_time", instant(heard.gps_time))
        .maybe("received_at", instant(heard.received_at))
        .end()
}

fn network(ids: &NetworkIdentifiers) -> String {
    Object::new()
        .text("net_id", &hex::encode_upper(&ids.net_id))
        .text("ns_id", &hex::encode_upper(&ids.ns_id))
        .text("tenant_id", &ids.tenant_id)
        .text("cluster_id", &ids.cluster_id)
        .text("cluster_address", &ids.cluster_address)
        .text("tenant_address", &ids.tenant_address)
        .end()
}

fn version(ids: &EndDeviceVersionIdentifiers) -> String {
    Object::spaced()
        .text("brand_id", &ids.brand_id)
        .text("model_id", &ids.model_id)
        .text("hardware_version", &ids.hardware_version)
        .text("firmware_version", &ids.firmware_version)
        .text("band_id", &ids.band_id)
        .end()
}

/// The end of the topic that a message's member goes to.
fn end_of(name: &str) -> Option<&'static str> {
    let ends = [
        ("uplink_normalized", "up/normalized"),
        ("join_accept", "join"),
        ("downlink_ack", "down/ack"),
        ("downlink_nack", "down/nack"),
        ("downlink_sent", "down/sent"),
        ("downlink_failed", "down/failed"),
        ("downlink_queued", "down/queued"),
        ("downlink_queue_invalidated", "down/invalidated"),
        ("location_solved", "location/solved"),
        ("service_data", "service/data"),
    ];
    ends.into_iter().find(|(known, _)| *known == name).map(|(_, end)| end)
}

impl Stack {
    /// Tell of anything else that an application has made up, as it stands.
    pub(super) fn pass_on(&self, app_id: &str, dev_id: &str, mut correlation_ids: Vec<String>, up: &DynamicMessage) {
        let mut registry = self.registry();
        let uid = registry.uid(app_id);
        let Ok(device) = registry.device(app_id, dev_id) else { return };
        correlation_ids.push(self.new_id("as:up"));
        let ids = DeviceIds::new(app_id, dev_id, device, false);
        for (field, value) in up.fields().filter(|(field, _)| field.containing_oneof().is_some()) {
            let (Some(end), Some(body)) = (end_of(field.name()), value.as_message()) else { continue };
            let (body, at) = (crate::rpc::json::write(body), Timestamp::now());
            self.emit(&uid, dev_id, end, simulated(event(&ids, correlation_ids.clone(), at, field.name(), &body)));
        }
    }

    /// Handle an uplink as if a device had sent it.
    pub(super) fn simulate(
        &self,
        app_id: &str,
        dev_id: &str,
        mut correlation_ids: Vec<String>,
        uplink: &ApplicationUplink,
    ) -> Result<(), Failure> {
        if uplink.settings.as_ref().is_none_or(|settings| settings.data_rate.is_none() || settings.frequency < 100_000)
        {
            let path = [("ApplicationUp", "uplink_message"), ("ApplicationUplink", "settings")];
            return Err(Failure::invalid(&path, "value is required"));
        }
        // Without a port nothing is decoded.
        let decoded = match uplink.f_port {
            0 => super::formatter::Decoded::default(),
            port => self.decode(app_id, dev_id, &uplink.frm_payload, port),
        };
        let mut registry = self.registry();
        let uid = registry.uid(app_id);
        let Ok(device) = registry.device(app_id, dev_id) else {
            // As the stack does: it says nothing.
            tracing::debug!(%app_id, %dev_id, "dropped an uplink made up for an unknown device");
            return Ok(());
        };
        correlation_ids.push(self.new_id("as:up"));
        let ids = DeviceIds::new(app_id, dev_id, device, false);
        let content = Content {
            device,
            session_key_id: &uplink.session_key_id,
            f_port: uplink.f_port,
            f_cnt: uplink.f_cnt,
            frm_payload: &uplink.frm_payload,
            rx_metadata: (!uplink.rx_metadata.is_empty()).then(|| list(uplink.rx_metadata.iter().map(metadata))),
            settings: settings(&uplink.settings.clone().unwrap_or_default()),
            received_at: instant(uplink.received_at),
            confirmed: uplink.confirmed,
            consumed_airtime: uplink.consumed_airtime.map(|airtime| {
                let nanos = airtime.seconds.saturating_mul(1_000_000_000).saturating_add(airtime.nanos.into());
                json::duration(u64::try_from(nanos).unwrap_or(0))
            }),
            packet_error_rate: uplink.packet_error_rate,
            locations: uplink.locations.iter().map(|(name, at)| (name.as_str(), at)).collect(),
            version_ids: uplink.version_ids.as_ref().map(version),
            network_ids: uplink.network_ids.as_ref().map(network),
        };
        let at = Timestamp::now();
        for (end, name, body) in content.messages(&decoded) {
            self.emit(&uid, dev_id, end, simulated(event(&ids, correlation_ids.clone(), at, name, &body)));
        }
        Ok(())
    }
}
