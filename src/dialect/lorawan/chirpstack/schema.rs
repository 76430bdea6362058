//! The fields of events in protobuf, by their keys in JSON (CS 4.5, package `integration`, `gw` and `common`).

use super::protobuf::Kind::{
    Bool, Bytes, Double, Duration, Enum, Float, List, Map, Signed, Struct, Text, Time, Unsigned,
};
use super::protobuf::{Field, Kind, Message};

/// The message that comes on topics with this end.
pub(super) fn of(end: &str) -> Option<&'static Message> {
    Some(match end {
        "up" => &UPLINK,
        "join" => &JOIN,
        "ack" => &ACK,
        "txack" => &TX_ACK,
        "log" => &LOG,
        "status" => &STATUS,
        "location" => &LOCATION,
        _ => return None,
    })
}

const fn field(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

/// Zeros are written in an event itself and in `deviceInfo`, and nowhere else (CS 3.3).
const fn event(fields: &'static [Field]) -> Message {
    Message { fields, zeros: true }
}

const fn part(fields: &'static [Field]) -> Message {
    Message { fields, zeros: false }
}

const DEDUPLICATION_ID: Field = field(1, "deduplicationId", Text);
const TIME: Field = field(2, "time", Time);
const INFO: Field = field(3, "deviceInfo", Kind::Message(&DEVICE_INFO));

static UPLINK: Message = event(&[
    DEDUPLICATION_ID,
    TIME,
    INFO,
    field(4, "devAddr", Text),
    field(5, "adr", Bool),
    field(6, "dr", Unsigned),
    field(7, "fCnt", Unsigned),
    field(8, "fPort", Unsigned),
    field(9, "confirmed", Bool),
    field(10, "data", Bytes),
    field(11, "object", Struct),
    field(12, "rxInfo", List(&RX_INFO)),
    field(13, "txInfo", Kind::Message(&UPLINK_TX_INFO)),
    field(16, "regionConfigId", Text),
]);

static JOIN: Message =
    event(&[DEDUPLICATION_ID, TIME, INFO, field(4, "devAddr", Text), field(7, "regionConfigId", Text)]);

static ACK: Message = event(&[
    DEDUPLICATION_ID,
    TIME,
    INFO,
    field(4, "queueItemId", Text),
    field(5, "acknowledged", Bool),
    field(6, "fCntDown", Unsigned),
]);

static TX_ACK: Message = event(&[
    field(1, "downlinkId", Unsigned),
    TIME,
    INFO,
    field(4, "queueItemId", Text),
    field(5, "fCntDown", Unsigned),
    field(6, "gatewayId", Text),
    field(7, "txInfo", Kind::Message(&DOWNLINK_TX_INFO)),
]);

static LOG: Message = event(&[
    field(1, "time", Time),
    field(2, "deviceInfo", Kind::Message(&DEVICE_INFO)),
    field(3, "level", Enum(&["INFO", "WARNING", "ERROR"])),
    field(
        4,
        "code",
        Enum(&[
            "UNKNOWN",
            "DOWNLINK_PAYLOAD_SIZE",
            "UPLINK_CODEC",
            "DOWNLINK_CODEC",
            "OTAA",
            "UPLINK_F_CNT_RESET",
            "UPLINK_MIC",
            "UPLINK_F_CNT_RETRANSMISSION",
            "DOWNLINK_GATEWAY",
            "RELAY_NEW_END_DEVICE",
            "F_CNT_DOWN",
            "EXPIRED",
        ]),
    ),
    field(5, "description", Text),
    field(6, "context", Map),
]);

static STATUS: Message = event(&[
    DEDUPLICATION_ID,
    TIME,
    INFO,
    field(5, "margin", Signed),
    field(6, "externalPowerSource", Bool),
    field(7, "batteryLevelUnavailable", Bool),
    field(8, "batteryLevel", Float),
]);

static LOCATION: Message = event(&[DEDUPLICATION_ID, TIME, INFO, field(4, "location", Kind::Message(&PLACE))]);

static DEVICE_INFO: Message = event(&[
    field(1, "tenantId", Text),
    field(2, "tenantName", Text),
    field(3, "applicationId", Text),
    field(4, "applicationName", Text),
    field(5, "deviceProfileId", Text),
    field(6, "deviceProfileName", Text),
    field(7, "deviceName", Text),
    field(8, "devEui", Text),
    field(10, "deviceClassEnabled", Enum(&["CLASS_A", "CLASS_B", "CLASS_C"])),
    field(9, "tags", Map),
]);

static RX_INFO: Message = part(&[
    field(1, "gatewayId", Text),
    field(2, "uplinkId", Unsigned),
    field(3, "gwTime", Time),
    field(17, "nsTime", Time),
    field(4, "timeSinceGpsEpoch", Duration),
    field(5, "fineTimeSinceGpsEpoch", Duration),
    field(6, "rssi", Signed),
    field(7, "snr", Float),
    field(8, "channel", Unsigned),
    field(9, "rfChain", Unsigned),
    field(10, "board", Unsigned),
    field(11, "antenna", Unsigned),
    field(12, "location", Kind::Message(&PLACE)),
    field(13, "context", Bytes),
    field(15, "metadata", Map),
    field(16, "crcStatus", Enum(&["NO_CRC", "BAD_CRC", "CRC_OK"])),
]);

static PLACE: Message = part(&[
    field(1, "latitude", Double),
    field(2, "longitude", Double),
    field(3, "altitude", Double),
    field(
        4,
        "source",
        Enum(&[
            "UNKNOWN",
            "GPS",
            "CONFIG",
            "GEO_RESOLVER_TDOA",
            "GEO_RESOLVER_RSSI",
            "GEO_RESOLVER_GNSS",
            "GEO_RESOLVER_WIFI",
        ]),
    ),
    field(5, "accuracy", Float),
]);

static UPLINK_TX_INFO: Message =
    part(&[field(1, "frequency", Unsigned), field(2, "modulation", Kind::Message(&MODULATION))]);

static DOWNLINK_TX_INFO: Message = part(&[
    field(1, "frequency", Unsigned),
    field(2, "power", Signed),
    field(3, "modulation", Kind::Message(&MODULATION)),
    field(4, "board", Unsigned),
    field(5, "antenna", Unsigned),
    field(7, "context", Bytes),
]);

static MODULATION: Message = part(&[
    field(3, "lora", Kind::Message(&LORA)),
    field(4, "fsk", Kind::Message(&FSK)),
    field(5, "lrFhss", Kind::Message(&LR_FHSS)),
]);

const CODE_RATES: Kind = Enum(&[
    "CR_UNDEFINED",
    "CR_4_5",
    "CR_4_6",
    "CR_4_7",
    "CR_4_8",
    "CR_3_8",
    "CR_2_6",
    "CR_1_4",
    "CR_1_6",
    "CR_5_6",
    "CR_LI_4_5",
    "CR_LI_4_6",
    "CR_LI_4_8",
]);

static LORA: Message = part(&[
    field(1, "bandwidth", Unsigned),
    field(2, "spreadingFactor", Unsigned),
    field(5, "codeRate", CODE_RATES),
    field(4, "polarizationInversion", Bool),
    field(6, "preamble", Unsigned),
    field(7, "noCrc", Bool),
]);

static FSK: Message = part(&[field(1, "frequencyDeviation", Unsigned), field(2, "datarate", Unsigned)]);

static LR_FHSS: Message = part(&[
    field(1, "operatingChannelWidth", Unsigned),
    field(4, "codeRate", CODE_RATES),
    field(3, "gridSteps", Unsigned),
]);
