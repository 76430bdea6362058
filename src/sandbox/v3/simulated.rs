//! What an application makes up by a call (V3 3.4.11): nothing was on the air, no counter moves.

use jiff::Timestamp;
use prost_reflect::DynamicMessage;

use super::event::{Content, DeviceIds, event, place, simulated};
use super::failure::Failure;
use super::json::{self, Object, list};
use super::stack::Stack;
use crate::rpc::proto::v3::data_rate::Modulation;
use crate::rpc::proto::v3::{ApplicationUplink, Location, RxMetadata, TxSettings};

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
    let frequency = Some(settings.frequency).filter(|frequency| *frequency > 0).map(|frequency| frequency.to_string());
    spaced()
        .maybe("data_rate", rate.map(Object::end))
        .text("frequency", &frequency.unwrap_or_default())
        .number("timestamp", settings.timestamp)
        .maybe("time", instant(settings.time))
        .end()
}

/// The number that is written as shortly as the one of less precision.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}

fn metadata(heard: &RxMetadata) -> String {
    let ids = heard.gateway_ids.clone().unwrap_or_default();
    let ids = Object::new().text("gateway_id", &ids.gateway_id).text("eui", &hex::encode_upper(ids.eui));
    let location = |location: &Location| place((location.latitude, location.longitude, location.altitude));
    Object::new()
        .put("gateway_ids", ids.end())
        .number("antenna_index", heard.antenna_index)
        .maybe("time", instant(heard.time))
        .number("timestamp", heard.timestamp)
        .float("rssi", shortest(heard.rssi))
        .float("channel_rssi", shortest(heard.channel_rssi))
        .float("snr", shortest(heard.snr))
        .maybe("location", heard.location.as_ref().map(location))
        .number("channel_index", heard.channel_index)
        .maybe("received_at", instant(heard.received_at))
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
            network_ids: None,
        };
        let at = Timestamp::now();
        for (end, name, body) in content.messages(&decoded) {
            self.emit(&uid, dev_id, end, simulated(event(&ids, correlation_ids.clone(), at, name, &body)));
        }
        Ok(())
    }
}
