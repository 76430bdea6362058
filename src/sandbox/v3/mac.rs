//! What the Network Server begins with where nobody sets anything (V3 3.6.9): its own defaults, and those of band and plan.

use prost_types::Duration;
use tonic::Code;

use super::failure::Failure;
use super::plan;
use crate::rpc::proto::v3::{
    AdrAckDelayExponent, AdrAckDelayExponentValue, AdrAckLimitExponent, AdrAckLimitExponentValue, AggregatedDutyCycle,
    AggregatedDutyCycleValue, BoolValue, DataRateIndex, DataRateIndexValue, DataRateOffset, DataRateOffsetValue,
    DeviceEirp, DeviceEirpValue, FrequencyValue, GetDefaultMacSettingsRequest, MacSettings, PhyVersion, RxDelay,
    RxDelayValue, ZeroableFrequencyValue,
};

const REQUEST: &str = "GetDefaultMACSettingsRequest";

/// What the settings take from a plan and its band. Of the plans that are not here the numbers are not known.
struct Regional {
    plan_id: &'static str,
    band_id: &'static str,
    /// Hertz: of the second window, of class B's slots and of its beacons.
    fixed_frequency: u64,
    rx2_data_rate: DataRateIndex,
    /// What the plan has in its place.
    desired_rx2_data_rate: DataRateIndex,
    ping_slot_data_rate: DataRateIndex,
    max_eirp: DeviceEirp,
}

/// These numbers are the same in all versions of the European band.
const EUROPE: Regional = Regional {
    plan_id: "EU_863_870",
    band_id: "EU_863_870",
    fixed_frequency: 869_525_000,
    rx2_data_rate: DataRateIndex::DataRate0,
    desired_rx2_data_rate: DataRateIndex::DataRate0,
    ping_slot_data_rate: DataRateIndex::DataRate3,
    max_eirp: DeviceEirp::DeviceEirp16,
};
const REGIONAL: [Regional; 2] =
    [EUROPE, Regional { plan_id: "EU_863_870_TTN", desired_rx2_data_rate: DataRateIndex::DataRate3, ..EUROPE }];

fn rate(value: DataRateIndex) -> DataRateIndexValue {
    DataRateIndexValue { value: value.into() }
}

fn delay(value: RxDelay) -> RxDelayValue {
    RxDelayValue { value: value.into() }
}

fn flag(value: bool) -> BoolValue {
    BoolValue { value }
}

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

impl Regional {
    fn settings(&self) -> MacSettings {
        let fixed = Some(FrequencyValue { value: self.fixed_frequency });
        let beacon = Some(ZeroableFrequencyValue { value: self.fixed_frequency });
        let offset = Some(DataRateOffsetValue { value: DataRateOffset::DataRateOffset0.into() });
        let duty_cycle = Some(AggregatedDutyCycleValue { value: AggregatedDutyCycle::DutyCycle1.into() });
        let limit = AdrAckLimitExponent::AdrAckLimit64.into();
        let ack_delay = AdrAckDelayExponent::AdrAckDelay32.into();
        MacSettings {
            class_b_timeout: Some(seconds(600)),
            ping_slot_data_rate_index: Some(rate(self.ping_slot_data_rate)),
            ping_slot_frequency: beacon,
            beacon_frequency: beacon,
            class_c_timeout: Some(seconds(300)),
            rx1_delay: Some(delay(RxDelay::RxDelay1)),
            rx1_data_rate_offset: offset,
            rx2_data_rate_index: Some(rate(self.rx2_data_rate)),
            rx2_frequency: fixed,
            max_duty_cycle: duty_cycle,
            supports_32_bit_f_cnt: Some(flag(true)),
            use_adr: Some(flag(true)),
            adr_margin: Some(15.0),
            resets_f_cnt: Some(flag(false)),
            status_time_periodicity: Some(seconds(86_400)),
            status_count_periodicity: Some(200),
            desired_rx1_delay: Some(delay(RxDelay::RxDelay5)),
            desired_rx1_data_rate_offset: offset,
            desired_rx2_data_rate_index: Some(rate(self.desired_rx2_data_rate)),
            desired_rx2_frequency: fixed,
            desired_max_duty_cycle: duty_cycle,
            desired_adr_ack_limit_exponent: Some(AdrAckLimitExponentValue { value: limit }),
            desired_adr_ack_delay_exponent: Some(AdrAckDelayExponentValue { value: ack_delay }),
            desired_ping_slot_data_rate_index: Some(rate(self.ping_slot_data_rate)),
            desired_ping_slot_frequency: beacon,
            desired_beacon_frequency: beacon,
            desired_max_eirp: Some(DeviceEirpValue { value: self.max_eirp.into() }),
            schedule_downlinks: Some(flag(true)),
            factory_preset_frequencies: Vec::new(),
        }
    }
}

/// The settings of devices with this plan and version.
///
/// # Errors
/// For a plan that is not known, or whose numbers are not; for a version that there is not.
pub(super) fn default_settings(asked: &GetDefaultMacSettingsRequest) -> Result<MacSettings, Failure> {
    if asked.frequency_plan_id.chars().count() > 64 {
        return Err(Failure::invalid(&[(REQUEST, "frequency_plan_id")], "value length must be at most 64 runes"));
    }
    let Ok(version) = PhyVersion::try_from(asked.lorawan_phy_version) else {
        let reason = "value must be one of the defined enum values";
        return Err(Failure::invalid(&[(REQUEST, "lorawan_phy_version")], reason));
    };
    let known = REGIONAL.iter().find(|regional| regional.plan_id == asked.frequency_plan_id);
    let regional = known.ok_or_else(|| plan::not_found(&asked.frequency_plan_id))?;
    if version == PhyVersion::PhyUnknown {
        let format = "specified version `{ver}` of band `{id}` does not exist";
        let namespace = "pkg/networkserver/internal";
        let failure = Failure::new(Code::InvalidArgument, namespace, "no_band_version", format);
        return Err(failure.with("ver", version.as_str_name()).with("id", regional.band_id));
    }
    Ok(regional.settings())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(plan: &str, version: i32) -> GetDefaultMacSettingsRequest {
        GetDefaultMacSettingsRequest { frequency_plan_id: plan.to_owned(), lorawan_phy_version: version }
    }

    #[test]
    fn both_plans_of_europe_have_the_windows_that_their_names_tell() {
        let second = |plan: &str| {
            let settings = default_settings(&asked(plan, PhyVersion::PhyV103RevA.into())).unwrap();
            [settings.rx2_data_rate_index, settings.desired_rx2_data_rate_index].map(|rate| rate.unwrap().value)
        };
        // SF12 is data rate 0, SF9 is 3.
        assert_eq!(second("EU_863_870"), [0, 0]);
        assert_eq!(second("EU_863_870_TTN"), [0, 3]);
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let refused = |plan: &str, version: i32| {
            let status = default_settings(&asked(plan, version)).unwrap_err().to_status(&mut fastrand::Rng::new());
            (status.code(), status.message().split(' ').next().unwrap_or_default().to_owned())
        };
        let known = PhyVersion::PhyV102RevB.into();
        for plan in ["", "NOPE", "US_902_928_FSB_2", "EU_863_870_ROAMING_DRAFT"] {
            assert_eq!(refused(plan, known), (Code::NotFound, "error:pkg/frequencyplans:not_found".into()));
        }
        let long = "E".repeat(65);
        for (plan, version, name) in [
            ("EU_863_870", 0, "error:pkg/networkserver/internal:no_band_version"),
            ("EU_863_870", 99, "error:pkg/errors:validation"),
            (&long, known, "error:pkg/errors:validation"),
        ] {
            assert_eq!(refused(plan, version), (Code::InvalidArgument, name.to_owned()));
        }
    }
}
