//! How the network tells of what its gateways hear.

use std::collections::HashMap;

use jiff::Timestamp;

use super::downlinks::Queue;
use super::wire::{Gateway, Location, Metadata};
use crate::sandbox::air::{ALTITUDE, GATEWAYS, Reception, airtime_ns};

/// IDs of the gateways.
pub(in crate::sandbox::v2) fn gateway_ids() -> impl Iterator<Item = &'static str> {
    GATEWAYS.iter().map(|gateway| gateway.id)
}

/// The air between devices and gateways.
#[derive(Debug, Default)]
pub(in crate::sandbox::v2) struct Radio {
    random: fastrand::Rng,
    pub(super) queues: HashMap<(String, String), Queue>,
}

impl Radio {
    /// Make what follows repeatable.
    pub(in crate::sandbox::v2) fn seed(&mut self, seed: u64) {
        self.random.seed(seed);
    }

    /// Forget all downlinks.
    pub(in crate::sandbox::v2) fn forget(&mut self) {
        self.queues.clear();
    }

    /// How a frame with so many bytes is heard now.
    pub(super) fn metadata(&mut self, payload: usize, location: Option<Location>) -> Metadata {
        let now = Timestamp::now();
        let Reception { spreading, channel, frequency_hz, gateways } = Reception::now(&mut self.random);
        let gateways = gateways.map(|heard| Gateway {
            gtw_id: heard.gateway.id.to_owned(),
            gtw_trusted: heard.gateway.id.starts_with("eui-"),
            timestamp: heard.timestamp,
            // A gateway without a clock has the empty text that the network sends then.
            time: if heard.gateway.has_clock { now.to_string() } else { String::new() },
            channel,
            rssi: heard.rssi,
            snr: heard.snr,
            rf_chain: 0,
            location: Some(Location {
                latitude: heard.gateway.latitude,
                longitude: heard.gateway.longitude,
                altitude: ALTITUDE,
                source: "registry",
            }),
        });
        Metadata {
            time: now.to_string(),
            frequency: Some(f64::from(frequency_hz / 100_000) / 10.0),
            modulation: Some("LORA"),
            data_rate: Some(format!("SF{spreading}BW125")),
            airtime: Some(airtime_ns(spreading, payload + 13)),
            coding_rate: Some("4/5"),
            gateways: gateways.into(),
            location,
        }
    }
}
