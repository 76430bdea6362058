//! Codecs of device profiles (CS 4.4, 3.4, 3.5): bytes to objects and back.

use std::collections::HashMap;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::json;

use super::lpp;
use crate::rpc::proto::chirpstack::api::{CodecRuntime, DeviceProfile};
use crate::sandbox::{script, structure};

/// Makes plain JSON of a result. Numbers that JSON does not have, and the zero below zero, become an object of their text
/// under a name that no script gives.
const PLAIN: &str = "(function walk(value) {
  switch (typeof value) {
    case 'number':
      if (value !== value) { return null; }
      if (!isFinite(value) || Object.is(value, -0)) { return { '\\u0000number': Object.is(value, -0) ? '-0' : String(value) }; }
      return value;
    case 'string': case 'boolean': return value;
    case 'object': break;
    default: return null;
  }
  if (value === null) { return null; }
  if (Array.isArray(value)) { return value.map(function (one) { return walk(one); }); }
  var plain = {};
  Object.keys(value).forEach(function (key) { plain[key] = walk(value[key]); });
  return plain;
})";
/// The name of such a text.
const NUMBER: &str = "\0number";

const DECODE: &str = "(function (input) {
  input.recvTime = new Date(input.recvTime);
  var result = decodeUplink(input);
  if (result === null || typeof result !== 'object') {
    throw new Error('Error converting from js \\'' + (result === null ? 'null' : typeof result) + '\\' into type \\'object\\'');
  }
  if (Array.isArray(result.errors) && result.errors.length) { return { errors: result.errors.map(String) }; }
  var data = result.data;
  return data !== null && typeof data === 'object' && !Array.isArray(data) ? { data: PLAIN(data) } : {};
})";
const ENCODE: &str = "(function (input) {
  var result = encodeDownlink(input);
  if (result === null || typeof result !== 'object') {
    throw new Error('Error converting from js \\'' + (result === null ? 'null' : typeof result) + '\\' into type \\'object\\'');
  }
  if (Array.isArray(result.errors) && result.errors.length) { return { errors: result.errors.map(String) }; }
  if (!Array.isArray(result.bytes)) { return {}; }
  var bytes = result.bytes.map(function (number) { return Math.min(255, Math.max(0, Math.trunc(Number(number)) || 0)); });
  return { bytes: bytes, fPort: typeof result.fPort === 'number' ? result.fPort : null };
})";
/// What our engine says of a script that does not end.
const INTERRUPTED: &str = "Interrupted:";
/// What the engine says of a result that is no object, in the words of what reads it.
const CONVERSION: &str = "Error: Error converting";

/// The runtime of a profile.
fn runtime(profile: &DeviceProfile) -> CodecRuntime {
    CodecRuntime::try_from(profile.payload_codec_runtime).unwrap_or_default()
}

fn run(profile: &DeviceProfile, function: &str, input: &serde_json::Value) -> Result<serde_json::Value, String> {
    let function = function.replace("PLAIN", PLAIN);
    // The server reads it as a module, whose code is strict.
    let code = format!("'use strict';{}", profile.payload_codec_script);
    let ran = script::run(&code, &format!("({function})({input})"));
    ran.map(|(result, _)| result).map_err(|thrown| {
        if thrown.starts_with(INTERRUPTED) {
            return "JS error: Error: interrupted".to_owned();
        }
        if thrown.starts_with(CONVERSION) {
            return format!("JS error: {}", thrown.trim_start_matches("Error: "));
        }
        // The server names every error so, whatever its kind.
        let words = thrown.split_once(": ").map_or(thrown.as_str(), |(_, words)| words);
        format!("JS error: Error: {words}")
    })
}

fn errors(result: &serde_json::Value) -> Option<String> {
    let errors = result["errors"].as_array()?;
    Some(errors.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(", "))
}

/// Numbers that JSON does not have, back from their texts.
fn restore(value: &mut Value) {
    match &mut value.kind {
        Some(Kind::StructValue(object)) => {
            let text = object.fields.get(NUMBER).and_then(|text| text.kind.clone());
            if let Some(Kind::StringValue(text)) = text {
                let number = match text.as_str() {
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    _ => -0.0,
                };
                value.kind = Some(Kind::NumberValue(number));
            } else {
                object.fields.values_mut().for_each(restore);
            }
        }
        Some(Kind::ListValue(ListValue { values })) => values.iter_mut().for_each(restore),
        _ => {}
    }
}

/// The object of an uplink; `None` without a codec.
///
/// # Errors
/// What the server says in its `log`.
pub(super) fn decode(
    profile: &DeviceProfile,
    bytes: &[u8],
    port: u32,
    received_at: &str,
    variables: &HashMap<String, String>,
) -> Result<Option<Struct>, String> {
    match runtime(profile) {
        CodecRuntime::None => Ok(None),
        CodecRuntime::CayenneLpp => lpp::decode(bytes).map(|object| Some(structure::from_json(&object))),
        CodecRuntime::Js => {
            let input = json!({"bytes": bytes, "fPort": port, "recvTime": received_at, "variables": variables});
            let result = run(profile, DECODE, &input)?;
            if let Some(errors) = errors(&result) {
                return Err(format!("decodeUplink returned errors: {errors}"));
            }
            if !result["data"].is_object() {
                return Err("decodeUplink did not return 'data'".to_owned());
            }
            let mut object = structure::from_json(&result["data"]);
            object.fields.values_mut().for_each(restore);
            Ok(Some(object))
        }
    }
}

/// The bytes of a downlink, and the port that the encoder wants.
///
/// # Errors
/// The server's words.
pub(super) fn encode(
    profile: &DeviceProfile,
    object: Struct,
    variables: &HashMap<String, String>,
) -> Result<(Vec<u8>, Option<u32>), String> {
    let object = structure::to_json(object);
    match runtime(profile) {
        // Nobody tells that the object is lost (seen).
        CodecRuntime::None => Ok((Vec::new(), None)),
        CodecRuntime::CayenneLpp => lpp::encode(&object).map(|bytes| (bytes, None)),
        CodecRuntime::Js => {
            let result = run(profile, ENCODE, &json!({"data": object, "variables": variables}))?;
            if let Some(errors) = errors(&result) {
                return Err(format!("encodeDownlink returned errors: {errors}"));
            }
            let Some(bytes) = result["bytes"].as_array() else {
                return Err("encodeDownlink did not return 'bytes'".to_owned());
            };
            let octet = |number: &serde_json::Value| number.as_f64().map_or(0, octet);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bent, as the server does")]
            let port = result["fPort"].as_f64().map(|port| port as u32);
            Ok((bytes.iter().map(octet).collect(), port))
        }
    }
}

/// A number as a byte; the script has bent it already.
fn octet(number: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bent, as the server does")]
    let octet = number as u8;
    octet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(script: &str) -> DeviceProfile {
        DeviceProfile {
            payload_codec_runtime: CodecRuntime::Js.into(),
            payload_codec_script: script.to_owned(),
            ..DeviceProfile::default()
        }
    }

    fn decoded(script: &str) -> Result<String, String> {
        let object = decode(&profile(script), &[1], 2, "2026-11-26T00:20:06Z", &HashMap::new())?;
        Ok(serde_json::to_string(&super::super::json::Free(&object.unwrap())).unwrap_or_else(|error| error.to_string()))
    }

    #[test]
    fn odd_values_become_what_they_became_on_the_server() {
        for (value, written) in [
            ("NaN", "null"),
            ("Infinity", "Cannot serialize infinity as google.protobuf.Value.number_value"),
            ("undefined", "null"),
            ("9007199254740993", "9007199254740992.0"),
            ("3.0", "3.0"),
            ("-0.0", "-0.0"),
            ("new Date(0)", "{}"),
            ("new Uint8Array([1,2])", "{\"0\":1.0,\"1\":2.0}"),
            ("10n", "null"),
            ("function(){}", "null"),
            ("{b:{c:[1,[2]]}}", "{\"b\":{\"c\":[1.0,[2.0]]}}"),
            ("[]", "[]"),
        ] {
            let got = decoded(&format!("function decodeUplink(input) {{ return {{data: {{v: {value}}}}}; }}")).unwrap();
            assert!(got == written || got == format!("{{\"v\":{written}}}"), "{value}: {got}");
        }
    }

    #[test]
    fn failures_have_the_servers_words() {
        for (body, words) in [
            ("throw new Error('bad port')", "JS error: Error: bad port"),
            ("return {errors: ['first', 'second']}", "decodeUplink returned errors: first, second"),
            ("while (true) {}", "JS error: Error: interrupted"),
            ("level = input.bytes[0]; return {data: {level: level}}", "JS error: Error: level is not defined"),
            ("return {data: [1, 2]}", "decodeUplink did not return 'data'"),
            ("return {data: 5}", "decodeUplink did not return 'data'"),
            ("return {}", "decodeUplink did not return 'data'"),
            ("return", "JS error: Error converting from js 'undefined' into type 'object'"),
            ("return Promise.resolve({data: {a: 1}})", "decodeUplink did not return 'data'"),
        ] {
            assert_eq!(decoded(&format!("function decodeUplink(input) {{ {body} }}")), Err(words.to_owned()), "{body}");
        }
        assert_eq!(decoded("function decodeUplink() { return {data: {a: 1}, errors: 'x'}; }").unwrap(), "{\"a\":1.0}");
        assert_eq!(decoded("function Decoder() {}"), Err("JS error: Error: decodeUplink is not defined".to_owned()));
    }

    #[test]
    fn bytes_of_an_encoder_are_bent() {
        let script = "function encodeDownlink(input) { return {bytes: [300, -1, 1.9], fPort: input.data.port}; }";
        let object = structure::from_json(&json!({"port": 7}));
        assert_eq!(encode(&profile(script), object, &HashMap::new()), Ok((vec![255, 0, 1], Some(7))));
        let object = structure::from_json(&json!({"port": 7}));
        assert_eq!(encode(&DeviceProfile::default(), object, &HashMap::new()), Ok((Vec::new(), None)));
    }
}
