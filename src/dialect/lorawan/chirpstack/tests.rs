use super::super::Network;
use super::super::object::Object;
use super::super::shape::{Direct, Part, anew, in_v2_shape};
use super::*;
use crate::dialect::json::Kind;

/// Packets of a running server (its README says which file shows what).
const CAPTURES: [&str; 7] = [
    include_str!("../../../../tests/vectors/chirpstack/10-mqtt-login-tls.jsonl"),
    include_str!("../../../../tests/vectors/chirpstack/20-uplinks.jsonl"),
    include_str!("../../../../tests/vectors/chirpstack/22-join.jsonl"),
    include_str!("../../../../tests/vectors/chirpstack/30-downlink-mqtt.jsonl"),
    include_str!("../../../../tests/vectors/chirpstack/31-downlink-delivery.jsonl"),
    include_str!("../../../../tests/vectors/chirpstack/50-limits-and-streams.jsonl"),
    include_str!("../../../../tests/vectors/chirpstack/53-restart-and-protobuf.jsonl"),
];

fn document(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Topic and body of each message that the server published, wherever in the captures it stands.
fn published() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for line in CAPTURES.iter().flat_map(|capture| capture.lines()) {
        gather(&serde_json::from_str(line).unwrap(), &mut found);
    }
    assert!(found.len() > 100, "{}", found.len());
    found
}

fn gather(value: &serde_json::Value, found: &mut Vec<(String, Vec<u8>)>) {
    match value {
        serde_json::Value::Object(members) => {
            let text = |key: &str| members.get(key).and_then(serde_json::Value::as_str);
            let body = text("payload").map(|text| text.as_bytes().to_vec());
            let body = body.or_else(|| hex::decode(text("payload_hex")?).ok());
            if let (Some(topic), Some(body)) =
                (text("topic").filter(|topic| topic.contains("/event/") && !topic.ends_with("/down")), body)
            {
                found.push((topic.to_owned(), body));
            }
            // A stream's items carry the same text.
            if let (Some(name), Some(body)) = (text("description"), text("body").filter(|body| body.starts_with('{')))
                && (name == "up" || event_name(name).is_some())
                && let Some(eui) =
                    serde_json::from_str::<serde_json::Value>(body).unwrap()["deviceInfo"]["devEui"].as_str()
            {
                found.push((format!("application/a/device/{eui}/event/{name}"), body.as_bytes().to_vec()));
            }
            members.values().for_each(|value| gather(value, found));
        }
        serde_json::Value::Array(elements) => elements.iter().for_each(|value| gather(value, found)),
        _ => {}
    }
}

#[test]
fn every_message_of_the_captures_is_read() {
    let network = Network::ChirpStack;
    let (mut uplinks, mut names) = (0, std::collections::BTreeSet::new());
    for (topic, body) in published() {
        let (read, is_protobuf) = network.read(&topic, &body);
        let read = read.unwrap_or_else(|error| panic!("{topic}: {error}"));
        assert_eq!(is_protobuf, body[0] != b'{');
        let about = network.about(network.topic(&topic).unwrap(), Some(read.root()));
        assert!(["greenhouse-7", "other"].contains(&about.app_id().as_ref()), "{}", about.app_id());
        assert!(!about.dev_id().is_empty());
        if let Topic::Uplink { dev_id, .. } = about.topic {
            uplinks += 1;
            let v2 = document(&network.in_v2_shape(Part::Uplink, read.root()).unwrap());
            let text = |key: &str| v2.root().get(key).and_then(Value::as_str).unwrap_or_default().into_owned();
            assert_eq!(text("hardware_serial"), dev_id.to_uppercase());
            assert_eq!((text("dev_id"), text("app_id")), (about.dev_id().into_owned(), about.app_id().into_owned()));
            let came: serde_json::Value = serde_json::from_str(read.text()).unwrap_or_default();
            let v2: serde_json::Value = serde_json::from_str(v2.text()).unwrap_or_default();
            assert_eq!((&v2["port"], &v2["counter"]), (&came["fPort"], &came["fCnt"]));
            let gateways = v2["metadata"]["gateways"].as_array().map_or(0, Vec::len);
            assert_eq!(gateways, came["rxInfo"].as_array().map_or(0, Vec::len));
            agrees(Part::Uplink, read.root(), document(&v2_text(read.root())).root());
        } else {
            let shaped = network.event(about.name, read.root()).unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(&shaped).is_ok(), "{shaped}");
            names.insert(about.name.to_owned());
        }
    }
    assert!(uplinks > 60, "{uplinks}");
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let seen = [
        "activations",
        "activations/errors",
        "down/acks",
        "down/errors",
        "down/nack",
        "down/sent",
        "status",
        "up/errors",
    ];
    assert_eq!(names, seen);
}

fn v2_text(value: Value<'_>) -> String {
    in_v2_shape(direct, Part::Uplink, value)
}

/// What stands under each name, read alone, is what the whole has.
fn agrees(part: Part, value: Value<'_>, whole: Value<'_>) {
    for name in part.fields() {
        let (alone, expected) = (direct(part, value, name), whole.get(name));
        match alone {
            Direct::There(value) => assert_eq!(Some(value.raw()), expected.map(Value::raw), "{name}"),
            Direct::Anew(value) => assert_eq!(document(&anew(value)).root().raw(), expected.unwrap().raw(), "{name}"),
            Direct::Text(text) => assert_eq!(document(&text).root().raw(), expected.unwrap().raw(), "{name}"),
            Direct::Part(part, value) => agrees(part, value, expected.unwrap()),
            Direct::Parts(part, list) => {
                assert_eq!(list.elements().count(), expected.unwrap().elements().count());
                list.elements().zip(expected.unwrap().elements()).for_each(|(value, whole)| agrees(part, value, whole));
            }
            Direct::Absent => assert!(expected.is_none(), "{name}"),
        }
    }
}

#[test]
fn the_vector_of_the_contract_becomes_what_it_says() {
    let expected: serde_json::Value = serde_json::from_str(
        r#"{
            "app_id": "greenhouse-7", "dev_id": "soil_03", "hardware_serial": "70B3D57ED005F1A2",
            "port": 2, "counter": 1, "payload_raw": "AOsByA==", "payload_fields": {"first": 0, "len": 4},
            "metadata": {
                "time": "2026-11-26T00:20:06.670489916Z", "frequency": 867.1, "modulation": "LORA",
                "data_rate": "SF7BW125", "airtime": 51456000, "coding_rate": "4/5",
                "gateways": [{"gtw_id": "eui-0016c001ff10a235", "timestamp": 0, "time": "2026-11-26T00:20:06.670489916Z",
                    "channel": 3, "rssi": -57, "snr": 9.5, "rf_chain": 0, "latitude": 52.3731, "longitude": 4.8926,
                    "altitude": 12, "location_source": "config"}]
            }
        }"#,
    )
    .unwrap();
    let v2: serde_json::Value = serde_json::from_str(&v2_text(document(UPLINK).root())).unwrap();
    assert_eq!(v2, expected);
}

/// The uplink of CS 3.4.
const UPLINK: &str = r#"{"deduplicationId":"9dba2047-74e6-45c4-a8e9-cf009e2a785e","time":"2026-11-26T00:20:06.670489916+00:00","deviceInfo":{"tenantId":"2f4a0ff2-5e8a-426b-abe8-3fb96cd53b18","tenantName":"Acme","applicationId":"c49fa6c7-3dc9-4053-b67b-3417d0872f0b","applicationName":"greenhouse-7","deviceProfileId":"353328b4-12b4-4a93-9bb1-3718d70afa99","deviceProfileName":"abp-eu","deviceName":"soil-probe-03","devEui":"70b3d57ed005f1a2","deviceClassEnabled":"CLASS_A","tags":{"dev_id":"soil_03"}},"devAddr":"01020304","adr":false,"dr":5,"fCnt":1,"fPort":2,"confirmed":false,"data":"AOsByA==","object":{"first":0.0,"len":4.0},"rxInfo":[{"gatewayId":"0016c001ff10a235","uplinkId":553810779,"gwTime":"2026-11-26T00:20:06.670489916+00:00","nsTime":"2026-11-26T00:20:06.671233484+00:00","rssi":-57,"snr":9.5,"channel":3,"location":{"latitude":52.3731,"longitude":4.8926,"altitude":12.0,"source":"CONFIG"},"context":"qrvMAA==","metadata":{"region_common_name":"EU868"},"crcStatus":"CRC_OK"}],"txInfo":{"frequency":867100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":7,"codeRate":"CR_4_5"}}},"regionConfigId":"eu868"}"#;

#[test]
fn protobuf_becomes_what_the_server_writes_as_json() {
    // The simulated radio of these captures is always the same.
    let of = |is_protobuf: bool| {
        let mut found = published().into_iter().filter(|(topic, body)| {
            topic.ends_with("/up") && (body[0] != b'{') == is_protobuf && {
                let read = Network::ChirpStack.read(topic, body).0.unwrap();
                read.root().get("fPort").unwrap().raw() == "2" && read.root().get("object").is_some()
            }
        });
        let (topic, body) = found.next().unwrap();
        serde_json::from_str::<serde_json::Value>(Network::ChirpStack.read(&topic, &body).0.unwrap().text()).unwrap()
    };
    let (json, protobuf) = (of(false), of(true));
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&protobuf), keys(&json));
    assert_eq!(keys(&protobuf["deviceInfo"]), keys(&json["deviceInfo"]));
    let antenna = |value: &serde_json::Value| value["rxInfo"][0].clone();
    for key in ["gatewayId", "rssi", "snr", "location", "context", "crcStatus"] {
        if !antenna(&json)[key].is_null() && antenna(&json)["rssi"] != 0 {
            assert_eq!(antenna(&protobuf)[key], antenna(&json)[key], "{key}");
        }
    }
    assert_eq!(
        protobuf["txInfo"],
        serde_json::json!({"frequency": 868_100_000, "modulation": {"lora": {"bandwidth": 125_000, "spreadingFactor": 7, "codeRate": "CR_4_5"}}})
    );
    assert_eq!(protobuf["time"], "2026-11-26T01:17:33.785327077+00:00");
    assert_eq!(protobuf["object"]["v"], serde_json::json!({"secret": "var-value"}));
}

#[test]
fn forms_of_older_servers_are_read() {
    // Before 4.1 zeros were left out; before 4.6 a gateway's time had another name; the first servers named the code rate otherwise.
    let old = r#"{"time":"2022-10-01T00:00:00.5+00:00","deviceInfo":{"deviceName":"d","devEui":"0102030405060708"},
        "rxInfo":[{"gatewayId":"0016C001FF10A235","time":"2022-10-01T00:00:00+00:00","rssi":-5}],
        "txInfo":{"frequency":868500000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":12,"codeRateLegacy":"4/6"}}}}"#;
    let v2: serde_json::Value = serde_json::from_str(&v2_text(document(old).root())).unwrap();
    assert_eq!((&v2["port"], &v2["counter"], &v2["payload_raw"]), (&0.into(), &0.into(), &serde_json::Value::Null));
    let metadata = &v2["metadata"];
    assert_eq!((&metadata["coding_rate"], &metadata["frequency"]), (&"4/6".into(), &868.5.into()));
    let expected = serde_json::json!({"gtw_id": "eui-0016c001ff10a235", "timestamp": 0, "time": "2022-10-01T00:00:00Z", "channel": 0, "rssi": -5, "snr": 0, "rf_chain": 0});
    assert_eq!(metadata["gateways"][0], expected);
    let port = r#"{"fPort":5,"rxInfo":[{"fineTimeSinceGpsEpoch":"1361100000.000000123s","antenna":2,"rfChain":1}],"txInfo":{"modulation":{"fsk":{"datarate":50000}}}}"#;
    let v2: serde_json::Value = serde_json::from_str(&v2_text(document(port).root())).unwrap();
    assert_eq!((&v2["payload_raw"], &v2["metadata"]["bit_rate"]), (&"".into(), &50_000.into()));
    let gateway = &v2["metadata"]["gateways"][0];
    assert_eq!(
        (&gateway["fine_timestamp"], &gateway["antenna"], &gateway["rf_chain"]),
        (&123.into(), &2.into(), &1.into())
    );
}

#[test]
fn payloads_are_bytes_where_there_is_a_port() {
    let payload = |text: &str| Network::ChirpStack.payload(document(text).root()).unwrap();
    assert_eq!(payload(r#"{"fPort":2,"data":"AOsByA=="}"#), Some(vec![0, 0xEB, 1, 0xC8]));
    assert_eq!(payload(r#"{"fPort":5,"data":""}"#), Some(vec![]));
    assert_eq!(payload(r#"{"fPort":5}"#), Some(vec![]));
    assert_eq!(payload(r#"{"fPort":0,"data":""}"#), None);
    assert!(
        Network::ChirpStack.payload(document(r#"{"data":7}"#).root()).unwrap_err().to_string().starts_with("data is")
    );
}

/// The value without some of its members, or with a value of another kind in their place.
fn pruned(value: Value<'_>, random: &mut fastrand::Rng) -> String {
    let odd = ["null", "7", "-1.5", "[]", "{}", "true", "\"\"", "\"x\\u0000\\n\"", "NaN", "1e300", "\"CR_\"", "\"==\""];
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

/// The value with some of its members alone.
fn thinned(value: Value<'_>, random: &mut fastrand::Rng) -> String {
    match value.kind() {
        Kind::Object => {
            let mut out = Object::new(String::new());
            for (name, value) in value.members() {
                if random.bool() {
                    out.raw(name.raw(), &thinned(value, random));
                }
            }
            out.end()
        }
        Kind::Array => {
            let elements: Vec<_> = value.elements().map(|element| thinned(element, random)).collect();
            format!("[{}]", elements.join(","))
        }
        Kind::Plain | Kind::Escaped => format!("\"{}\"", value.raw()),
        _ => value.raw().to_owned(),
    }
}

#[test]
fn any_part_of_an_uplink_becomes_a_message_of_v2() {
    let uplink = document(UPLINK);
    let mut random = fastrand::Rng::with_seed(15);
    for turn in 0..4000 {
        let part = if turn % 2 == 0 { pruned(uplink.root(), &mut random) } else { thinned(uplink.root(), &mut random) };
        let read = document(&part);
        let v2 = document(&v2_text(read.root()));
        for always in ["app_id", "dev_id", "port", "counter", "payload_raw", "metadata"] {
            assert!(v2.root().get(always).is_some(), "{always} of {part}");
        }
        assert!(v2.root().get("metadata").unwrap().get("time").is_some());
        for gateway in v2.root().get("metadata").unwrap().get("gateways").into_iter().flat_map(Value::elements) {
            let keys = ["timestamp", "time", "channel", "rssi", "snr", "rf_chain"];
            assert!(keys.iter().all(|key| gateway.get(key).is_some()), "{part}");
        }
        agrees(Part::Uplink, read.root(), v2.root());
        let topic = "application/c49fa6c7-3dc9-4053-b67b-3417d0872f0b/device/70b3d57ed005f1a2/event/up";
        let about = Network::ChirpStack.about(Network::ChirpStack.topic(topic).unwrap(), Some(read.root()));
        assert!(!about.dev_id().is_empty() && !about.app_id().is_empty(), "{part}");
        for name in EVENT_NAMES {
            let event = event(name, read.root());
            assert!(Document::parse(event.as_bytes()).is_ok(), "{name} of {part}: {event}");
        }
    }
}

#[test]
fn devices_are_called_by_tag_name_or_eui() {
    let info = |text: &str| name(document(text).root()).map(|value| value.raw().to_owned());
    assert_eq!(info(r#"{"deviceName":"probe","devEui":"01","tags":{"dev_id":"soil"}}"#).as_deref(), Some("soil"));
    assert_eq!(info(r#"{"deviceName":"probe","devEui":"01","tags":{"dev_id":""}}"#).as_deref(), Some("probe"));
    assert_eq!(info(r#"{"deviceName":"","devEui":"01","tags":{}}"#).as_deref(), Some("01"));
    assert_eq!(info("{}"), None);
}

#[test]
fn only_what_is_wanted_is_asked_for() {
    let app = |text: &str| Network::ChirpStack.app_id(AppId::new(text).unwrap(), None).unwrap();
    let filters = |app: &AppId, filter| Network::ChirpStack.filters(app, &filter);
    let (known, named) = (app("C49FA6C73DC94053B67B3417D0872F0B"), app("greenhouse-7"));
    let dev = |id: &str| Some(Network::ChirpStack.dev_id(id).unwrap());
    let start = "application/c49fa6c7-3dc9-4053-b67b-3417d0872f0b/device";
    assert_eq!(filters(&known, Filter::Uplink(None)), [format!("{start}/+/event/up")]);
    assert_eq!(
        filters(&known, Filter::Uplink(dev("70B3D57ED005F1A2"))),
        [format!("{start}/70b3d57ed005f1a2/event/up")]
    );
    assert_eq!(filters(&known, Filter::Field(dev("Soil probe"), "a".into())), [format!("{start}/+/event/up")]);
    assert_eq!(filters(&named, Filter::Uplink(None)), ["application/+/device/+/event/up"]);
    let of = |name: &str| filters(&named, Filter::Event(None, Some(event_name(name).unwrap_or(name).to_owned())));
    for (name, end) in [
        ("activations", "join"),
        ("join", "join"),
        ("down/acks", "ack"),
        ("ack", "ack"),
        ("down/errors", "log"),
        ("status", "status"),
    ] {
        assert_eq!(of(name), [format!("application/+/device/+/event/{end}")], "{name}");
    }
    assert!(of("create").is_empty() && of("down/scheduled").is_empty());
    assert_eq!(filters(&named, Filter::Event(None, None)).len(), 7);
    assert_eq!(Network::ChirpStack.steps(&known).len(), 3);
    assert!(Network::ChirpStack.dev_id("").is_err() && Network::ChirpStack.dev_id("a\nb").is_err());
}

#[test]
fn a_network_is_told_by_key_application_and_host() {
    let key = |claims: &str| {
        use ::base64::Engine as _;
        let engine = ::base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let header = engine.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
        AccessKey::new(format!("{header}.{}.c2lnbmF0dXJl", engine.encode(claims)))
    };
    let ours = key(r#"{"aud":"chirpstack","iss":"chirpstack","sub":"cebc9b96","typ":"key"}"#);
    let other = key(r#"{"iss":"ttn-account-v2"}"#);
    let uuid = "c49fa6c7-3dc9-4053-b67b-3417d0872f0b";
    assert_eq!(Network::of(&ours, Some("broker"), "greenhouse-7"), Network::ChirpStack);
    assert_eq!(Network::of(&other, Some("broker"), "greenhouse-7"), Network::V2);
    assert_eq!(Network::of(&AccessKey::new(""), None, uuid), Network::ChirpStack);
    assert_eq!(Network::of(&AccessKey::new("NNSXS.A.B"), None, uuid), Network::V3);
    assert_eq!(Network::of(&AccessKey::new("ttn-account-v2.x"), None, "app"), Network::V2);
    assert!(!DevId::new(ours.reveal()).unwrap_err().to_string().contains(ours.reveal()), "a key never shows");
}
