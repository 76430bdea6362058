use super::super::super::object::Object;
use super::super::super::shape::in_v2_shape;
use super::*;
use crate::dialect::json::Document;

const VECTORS: &str = include_str!("../../../../../tests/vectors/tts_v3_uplink.jsonl");

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn shaped(text: &str) -> String {
    in_v2_shape(direct, Part::Uplink, document(text).root())
}

#[test]
fn the_vectors_of_the_contract_become_what_it_says() {
    for line in VECTORS.lines() {
        let vector = document(line);
        let [v3, v2] = ["v3", "v2"].map(|name| vector.root().get(name).unwrap());
        assert_eq!(shaped(v3.raw()), v2.raw());
    }
}

/// What stands under each name, read alone, is what the whole has.
fn agrees(part: Part, value: Value<'_>, whole: Value<'_>) {
    for name in part.fields() {
        let (alone, expected) = (direct(part, value, name), whole.get(name));
        match alone {
            Direct::There(value) => assert_eq!(Some(value.raw()), expected.map(Value::raw), "{name}"),
            Direct::Anew(value) => panic!("{name}: {}", value.raw()),
            Direct::Text(text) => assert_eq!(document(&text).root().raw(), expected.unwrap().raw(), "{name}"),
            Direct::Part(part, value) => agrees(part, value, expected.unwrap()),
            Direct::Parts(part, list) => {
                assert_eq!(list.elements().count(), expected.unwrap().elements().count());
                list.elements().zip(expected.unwrap().elements()).for_each(|(value, whole)| agrees(part, value, whole));
            }
            Direct::Absent => assert!(expected.is_none(), "{name}"),
        }
    }
    assert!(matches!(direct(part, value, "uplink_message"), Direct::Absent));
}

#[test]
fn fields_alone_are_those_of_the_whole() {
    for line in VECTORS.lines() {
        let vector = document(line);
        let [v3, v2] = ["v3", "v2"].map(|name| vector.root().get(name).unwrap());
        agrees(Part::Uplink, v3, v2);
    }
}

#[test]
fn numbers_are_moved_digit_by_digit() {
    for (hertz, expected) in
        [(868_100_000, "868.1"), (868_000_000, "868"), (903_900_001, "903.900001"), (1, "0.000001")]
    {
        assert_eq!(megahertz(hertz), expected);
    }
    assert_eq!(thousandths(812_500, 3), "812.5");
    let airtime = |text: &str| nanoseconds(document(&format!("\"{text}\"")).root());
    assert_eq!(airtime("0.051456s"), Some(51_456_000));
    assert_eq!(airtime("1s"), Some(1_000_000_000));
    assert_eq!(airtime("1.155072123s"), Some(1_155_072_123));
    for bad in ["", "s", "1", "-1s", "1.0000000001s", "1e3s", "99999999999999999999s", "0s"] {
        assert_eq!(airtime(bad), None, "{bad}");
    }
}

#[test]
fn other_modulations_places_and_gateways() {
    let settings = |rate: &str| shaped(&format!(r#"{{"uplink_message":{{"settings":{{"data_rate":{rate}}}}}}}"#));
    assert!(settings(r#"{"fsk":{"bit_rate":50000}}"#).contains(r#""modulation":"FSK","bit_rate":50000"#));
    assert!(settings(r#"{"lrfhss":{"coding_rate":"1/3"}}"#).contains(r#""modulation":"LR_FHSS","coding_rate":"1/3""#));
    assert!(settings(r#"{"lora":{"bandwidth":812500,"spreading_factor":7}}"#).contains(r#""SF7BW812.5""#));
    let old = shaped(r#"{"uplink_message":{"settings":{"coding_rate":"4/6","data_rate":{"lora":{}}}}}"#);
    assert!(old.contains(r#""coding_rate":"4/6""#), "{old}");
    let gateways = shaped(
        r#"{"uplink_message":{"rx_metadata":[{"gateway_ids":{"gateway_id":"packetbroker"},"packet_broker":{"forwarder_gateway_eui":"AC1F"}},
        {"gateway_ids":{"gateway_id":"packetbroker"}},{"gateway_ids":{"eui":"58A0"},"channel_rssi":-7,"antenna_index":1},7]}}"#,
    );
    let ids: Vec<_> = gateways.match_indices("\"gtw_id\":").map(|(at, _)| &gateways[at + 9..at + 19]).collect();
    assert_eq!(ids, ["\"eui-ac1f\"", "\"packetbro", "\"eui-58a0\""]);
    assert!(gateways.contains(r#""antenna":1,"channel":0,"rssi":-7"#));
    let places = shaped(
        r#"{"uplink_message":{"locations":{"z":{"latitude":1},"frm-payload":{"longitude":2,"accuracy":3,"source":"SOURCE_GPS"}}}}"#,
    );
    let expected = r#""latitude":0,"longitude":2,"altitude":0,"location_accuracy":3,"location_source":"gps""#;
    assert!(places.contains(expected), "{places}");
    assert!(
        shaped(r#"{"uplink_message":{"locations":{"b":{"latitude":1},"a":{"latitude":2}}}}"#)
            .contains("\"latitude\":2")
    );
}

#[test]
fn a_frame_without_payload_is_told_from_an_empty_one() {
    assert!(shaped(r#"{"uplink_message":{"f_port":1}}"#).contains(r#""port":1,"counter":0,"payload_raw":"""#));
    assert!(shaped("{}").contains(r#""port":0,"counter":0,"payload_raw":null"#));
}

/// The value without some of its members, or with a value of another kind in their place.
fn pruned(value: Value<'_>, random: &mut fastrand::Rng) -> String {
    let odd = ["null", "7", "-1.5", "[]", "{}", "true", "\"\"", "\"x\\u0000\"", "NaN"];
    match value.kind() {
        Kind::Object => {
            let mut out = Object::new(String::new());
            for (name, value) in value.members() {
                match random.u8(..10) {
                    0 | 1 => {}
                    2 => out.raw(name.raw(), odd[random.usize(..odd.len())]),
                    _ => out.raw(name.raw(), &pruned(value, random)),
                }
            }
            out.end()
        }
        Kind::Array => {
            let elements: Vec<_> = value.elements().map(|element| pruned(element, random)).collect();
            format!("[{}]", elements.join(","))
        }
        Kind::Plain | Kind::Escaped => format!("\"{}\"", value.raw()),
        _ => value.raw().to_owned(),
    }
}

#[test]
fn any_part_of_an_uplink_becomes_a_message_of_v2() {
    let vector = document(VECTORS.lines().next().unwrap());
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..3000 {
        let part = pruned(vector.root().get("v3").unwrap(), &mut random);
        let v2 = document(&shaped(&part));
        for always in ["app_id", "dev_id", "port", "counter", "payload_raw", "metadata"] {
            assert!(v2.root().get(always).is_some(), "{always} of {part}");
        }
        assert!(v2.root().get("metadata").unwrap().get("time").is_some());
        for gateway in v2.root().get("metadata").unwrap().get("gateways").into_iter().flat_map(Value::elements) {
            assert!(
                ["timestamp", "time", "channel", "rssi", "snr", "rf_chain"]
                    .iter()
                    .all(|key| gateway.get(key).is_some())
            );
        }
    }
}
