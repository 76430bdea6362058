//! The frequency plans that the stack knows by name (V3 3.7), in the order in which it lists them.

use tonic::Code;

use super::failure::Failure;
use crate::rpc::proto::v3::{FrequencyPlanDescription, ListFrequencyPlansRequest};

/// A line for each: its ID; the plan that it changes, if any; its band; MHz; whether it is for gateways, too; its name. As the
/// stack's makers publish them; for 868 MHz they are those of a capture.
const PLANS: &str = "\
EU_863_870;;EU_863_870;868;gateways;Europe 863-870 MHz (SF12 for RX2)
EU_863_870_TTN;EU_863_870;EU_863_870;868;;Europe 863-870 MHz (SF9 for RX2 - recommended)
EU_863_870_ROAMING_DRAFT;EU_863_870;EU_863_870;868;;Europe 863-870 MHz, 6 channels for roaming (Draft)
EU_868_1;EU_863_870;EU_863_870;868;gateways;Europe 868.1 MHz
EU_433;;EU_433;433;gateways;Europe 433 MHz (ITU region 1)
US_902_928_FSB_1;;US_902_928;915;gateways;United States 902-928 MHz, FSB 1
US_902_928_FSB_2;;US_902_928;915;gateways;United States 902-928 MHz, FSB 2 (used by TTN)
US_902_928_FSB_3;;US_902_928;915;gateways;United States 902-928 MHz, FSB 3
US_902_928_FSB_4;;US_902_928;915;gateways;United States 902-928 MHz, FSB 4
US_902_928_FSB_5;;US_902_928;915;gateways;United States 902-928 MHz, FSB 5
US_902_928_FSB_6;;US_902_928;915;gateways;United States 902-928 MHz, FSB 6
US_902_928_FSB_7;;US_902_928;915;gateways;United States 902-928 MHz, FSB 7
US_902_928_FSB_8;;US_902_928;915;gateways;United States 902-928 MHz, FSB 8
AU_915_928_FSB_1;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 1
AU_915_928_FSB_2;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 2 (used by TTN)
AU_915_928_FSB_3;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 3
AU_915_928_FSB_4;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 4
AU_915_928_FSB_5;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 5
AU_915_928_FSB_6;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 6
AU_915_928_FSB_7;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 7
AU_915_928_FSB_8;;AU_915_928;915;gateways;Australia 915-928 MHz, FSB 8
CN_470_510_FSB_1;;CN_470_510;470;gateways;China 470-510 MHz, FSB 1
CN_470_510_FSB_11;;CN_470_510;470;gateways;China 470-510 MHz, FSB 11 (used by TTN)
AS_920_923;;AS_923;915;gateways;Asia 920-923 MHz
AS_920_923_LBT;AS_920_923;AS_923;915;gateways;Asia 920-923 MHz with LBT
AS_920_923_TTN_JP_1;;AS_923;915;gateways;Japan 920-923 MHz with LBT (channels 31-38)
AS_920_923_TTN_JP_2;;AS_923;915;gateways;Japan 920-923 MHz with LBT (channels 24-27 and 35-38)
AS_920_923_TTN_JP_3;;AS_923;915;gateways;Japan 920-923 MHz with LBT (channels 24-31)
AS_923;;AS_923;915;gateways;Asia 915-928 MHz (AS923 Group 1) with only default channels
AS_923_2;;AS_923_2;915;gateways;Asia 920-923 MHz (AS923 Group 2) with only default channels
AS_923_3;;AS_923_3;915;gateways;Asia 915-921 MHz (AS923 Group 3) with only default channels
AS_923_4;;AS_923_4;915;gateways;Asia 917-920 MHz (AS923 Group 4) with only default channels
AS_923_NDT;AS_923;AS_923;915;gateways;Asia 915-928 MHz (AS923 Group 1) with only default channels and dwell time disabled
AS_923_DT;AS_923;AS_923;915;gateways;Asia 915-928 MHz (AS923 Group 1) with only default channels and dwell time enabled
AS_923_2_NDT;AS_923_2;AS_923_2;915;gateways;Asia 920-923 MHz (AS923 Group 2) with only default channels and dwell time disabled
AS_923_2_DT;AS_923_2;AS_923_2;915;gateways;Asia 920-923 MHz (AS923 Group 2) with only default channels and dwell time enabled
AS_923_3_NDT;AS_923_3;AS_923_3;915;gateways;Asia 920-923 MHz (AS923 Group 3) with only default channels and dwell time disabled
AS_923_3_DT;AS_923_3;AS_923_3;915;gateways;Asia 920-923 MHz (AS923 Group 3) with only default channels and dwell time enabled
AS_923_4_NDT;AS_923_4;AS_923_4;915;gateways;Asia 920-923 MHz (AS923 Group 4) with only default channels and dwell time disabled
AS_923_4_DT;AS_923_4;AS_923_4;915;gateways;Asia 920-923 MHz (AS923 Group 4) with only default channels and dwell time enabled
AS_923_925;;AS_923;915;gateways;Asia 923-925 MHz
AS_923_925_LBT;AS_923_925;AS_923;915;gateways;Asia 923-925 MHz with LBT
AS_920_923_TTN_AU;AS_920_923;AS_923;915;gateways;Asia 920-923 MHz (used by TTN Australia)
AS_923_925_TTN_AU;AS_923_925;AS_923;915;;Asia 923-925 MHz (used by TTN Australia - secondary channels)
KR_920_923_TTN;;KR_920_923;915;gateways;South Korea 920-923 MHz
MA_869_870_DRAFT;;MA_869_870_DRAFT;868;gateways;Morocco 869-870 MHz
IN_865_867;;IN_865_867;868;gateways;India 865-867 MHz
RU_864_870_TTN;;RU_864_870;868;gateways;Russia 864-870 MHz
ISM_2400_3CH_DRAFT2;;ISM_2400;2450;gateways;LoRa 2.4 GHz with 3 channels (Draft 2)
IL_917_920_TTN;;AS_923_4;915;gateways;Israel 917-920 MHz (channels 1-4 and 11-14)
SG_920_923_TTN;AS_920_923;AS_923;915;gateways;Singapore 920-923 MHz";

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    id: &'static str,
    base_id: &'static str,
    band_id: &'static str,
    base_frequency: u32,
    is_for_gateways: bool,
    name: &'static str,
}

/// Read a line; `None` for one that is none.
fn read(line: &'static str) -> Option<Plan> {
    let mut fields = line.splitn(6, ';');
    Some(Plan {
        id: fields.next()?,
        base_id: fields.next()?,
        band_id: fields.next()?,
        base_frequency: fields.next()?.parse().ok()?,
        is_for_gateways: fields.next()? == "gateways",
        name: fields.next()?,
    })
}

fn all() -> impl Iterator<Item = Plan> {
    PLANS.lines().filter_map(read)
}

/// What a plan begins with that tells its region.
fn region(id: &str) -> Option<&str> {
    id.split_once('_').map(|(region, _)| region)
}

/// Whether there is, or may be, a plan of this ID: newer stacks have others for the same regions.
pub(super) fn may_be(id: &str) -> bool {
    region(id).is_some_and(|region_of| all().any(|plan| region(plan.id) == Some(region_of)))
}

/// There is no plan of this ID, in the stack's words.
pub(super) fn not_found(id: &str) -> Failure {
    let format = "frequency plan `{id}` not found";
    Failure::new(Code::NotFound, "pkg/frequencyplans", "not_found", format).with("id", id)
}

/// The plans that a request asks for.
pub(super) fn list(asked: &ListFrequencyPlansRequest) -> Vec<FrequencyPlanDescription> {
    let is_asked_for = |plan: &Plan| {
        (asked.base_frequency == 0 || asked.base_frequency == plan.base_frequency)
            && (asked.band_id.is_empty() || asked.band_id == plan.band_id)
            && (!asked.gateways_only || plan.is_for_gateways)
    };
    let described = |plan: Plan| FrequencyPlanDescription {
        id: plan.id.to_owned(),
        base_id: plan.base_id.to_owned(),
        name: plan.name.to_owned(),
        base_frequency: plan.base_frequency,
        band_id: plan.band_id.to_owned(),
    };
    all().filter(is_asked_for).map(described).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::lorawan::region::frequency_plan_id;

    #[test]
    fn every_line_is_a_plan_and_changes_one_that_there_is() {
        let plans: Vec<_> = all().collect();
        assert_eq!(plans.len(), PLANS.lines().count());
        for plan in &plans {
            let is_there = |id: &str| plans.iter().any(|other| other.id == id && other.band_id == plan.band_id);
            assert!(plan.base_id.is_empty() || is_there(plan.base_id), "{plan:?}");
            assert!(!plan.band_id.is_empty() && plan.base_frequency > 400 && !plan.name.is_empty(), "{plan:?}");
            assert_eq!(plans.iter().filter(|other| other.id == plan.id).count(), 1, "{plan:?}");
            assert!(may_be(plan.id));
        }
        assert!(may_be("EU_863_870_NEW") && !may_be("NOPE") && !may_be("EUROPE_1") && !may_be(""));
    }

    #[test]
    fn what_the_community_uses_is_there() {
        for cluster in ["eu1", "nam1", "au1"] {
            let usual = frequency_plan_id(&format!("{cluster}.cloud.thethings.network")).unwrap();
            assert!(all().any(|plan| plan.id == usual), "{usual}");
        }
    }

    #[test]
    fn a_list_has_what_was_asked_for() {
        let ids = |asked: &ListFrequencyPlansRequest| list(asked).into_iter().map(|plan| plan.id).collect::<Vec<_>>();
        let asked = ListFrequencyPlansRequest { base_frequency: 470, ..Default::default() };
        assert_eq!(ids(&asked), ["CN_470_510_FSB_1", "CN_470_510_FSB_11"]);
        let asked = ListFrequencyPlansRequest { band_id: "EU_863_870".into(), ..asked };
        assert!(ids(&asked).is_empty());
        let asked = ListFrequencyPlansRequest { base_frequency: 868, gateways_only: true, ..asked };
        assert_eq!(ids(&asked), ["EU_863_870", "EU_868_1"]);
        assert_eq!(list(&ListFrequencyPlansRequest::default()).len(), PLANS.lines().count());
    }
}
