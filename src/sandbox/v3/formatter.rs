//! Payload formatters: bytes to fields and back, with scripts of both generations (V3 3.4.2).

use serde_json::{Value, json};
use tonic::Code;

use super::failure::Failure;
use crate::rpc::proto::v3::{MessagePayloadFormatters, PayloadFormatter};
use crate::sandbox::{cayenne, script};

/// Calls what an up script has: the functions of V3, or else that of V2.
const UP: &str = "(function (input) {
  if (typeof decodeUplink !== 'function') return { decoded: { data: Decoder(input.bytes, input.fPort) || {} } };
  var decoded = decodeUplink(input);
  if (typeof normalizeUplink !== 'function' || !decoded || (decoded.errors || []).length) return { decoded: decoded };
  return { decoded: decoded, normalized: normalizeUplink({ data: decoded.data }) };
})";
/// Likewise for a down script; in the old generation the port is the request's.
const DOWN: &str = "(function (input) {
  if (typeof encodeDownlink === 'function') return encodeDownlink(input);
  return { bytes: Encoder(input.data, input.fPort), fPort: input.fPort };
})";
/// Makes plain JSON of a result: no numbers that JSON does not have, and nothing undefined. The zero below zero becomes an
/// object of its text under a name that no script gives, and a date an empty object, of which it is told.
const PLAIN: &str = "(function (result) {
  var dates = false;
  var text = JSON.stringify(result, function (name, value) {
    if (this[name] instanceof Date) { dates = true; return {}; }
    if (value === undefined) return null;
    if (typeof value === 'number' && !isFinite(value)) throw new Error('not a finite number');
    if (Object.is(value, -0)) return { '\\u0000number': '-0' };
    return ArrayBuffer.isView(value) ? Array.from(value) : value;
  });
  return { result: JSON.parse(text), dates: dates };
})";
/// The name of such a text.
const NUMBER: &str = "\0number";

/// Most characters of a script.
const LONGEST: usize = 40_960;

/// What a formatter makes of an uplink.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decoded {
    pub(super) data: Option<Value>,
    pub(super) warnings: Vec<String>,
    /// Measurements, one each.
    pub(super) normalized: Vec<Value>,
    pub(super) normalized_warnings: Vec<String>,
    /// Whether there are dates, for which the stack has no JSON: nobody hears of such an uplink (seen).
    pub(super) has_dates: bool,
}

/// What a formatter makes of a downlink's fields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) port: Option<u32>,
}

fn thrown(message: String) -> Failure {
    Failure::new(Code::Aborted, "pkg/scripting/javascript", "script", "{message}").with("message", message)
}

fn invalid(what: &str) -> Failure {
    let format = "invalid output: {what}";
    Failure::new(Code::InvalidArgument, "pkg/messageprocessors/javascript", "output", format).with("what", what)
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned))
        .collect()
}

/// Check the length of scripts, in a field at this place.
pub(super) fn check(
    formatters: Option<&MessagePayloadFormatters>,
    place: &[(&'static str, &str)],
) -> Result<(), Failure> {
    let Some(formatters) = formatters else { return Ok(()) };
    for (field, script) in [
        ("up_formatter_parameter", &formatters.up_formatter_parameter),
        ("down_formatter_parameter", &formatters.down_formatter_parameter),
    ] {
        if script.chars().count() > LONGEST {
            let place = [place, &[("MessagePayloadFormatters", field)]].concat();
            return Err(Failure::invalid(&place, "value length must be at most 40960 runes"));
        }
    }
    Ok(())
}

/// The zero below zero, back from its text.
fn restore(value: &mut Value) {
    match value {
        Value::Object(object) if object.contains_key(NUMBER) => *value = Value::from(-0.0),
        Value::Object(object) => object.values_mut().for_each(restore),
        Value::Array(list) => list.iter_mut().for_each(restore),
        _ => {}
    }
}

/// Run a script; gives its result, and whether there are dates in it.
fn call(script: &str, function: &str, input: &Value) -> Result<(Value, bool), Failure> {
    let (mut plain, _) = script::run(script, &format!("{PLAIN}({function}({input}))")).map_err(thrown)?;
    restore(&mut plain["result"]);
    Ok((plain["result"].take(), plain["dates"] == true))
}

fn without_errors(output: &Value) -> Result<(), Failure> {
    let errors = texts(&output["errors"]);
    if errors.is_empty() {
        return Ok(());
    }
    let namespace = "pkg/messageprocessors/javascript";
    Err(Failure::new(Code::Aborted, namespace, "output_errors", "{errors}").with("errors", errors.join(", ")))
}

/// The fields of an uplink.
///
/// # Errors
/// The formatter's own.
pub(super) fn decode(formatters: &MessagePayloadFormatters, bytes: &[u8], port: u32) -> Result<Decoded, Failure> {
    match PayloadFormatter::try_from(formatters.up_formatter) {
        Ok(PayloadFormatter::FormatterJavascript) => {
            let input = json!({"bytes": bytes, "fPort": port});
            let (result, has_dates) = call(&formatters.up_formatter_parameter, UP, &input)?;
            let (decoded, normalized) = (&result["decoded"], &result["normalized"]);
            without_errors(decoded)?;
            without_errors(normalized)?;
            let data = Some(decoded["data"].clone()).filter(Value::is_object);
            let measurements = match &normalized["data"] {
                Value::Array(all) => all.clone(),
                one if one.is_object() => vec![one.clone()],
                _ => Vec::new(),
            };
            Ok(Decoded {
                data: Some(data.ok_or_else(|| invalid("no object"))?),
                warnings: texts(&decoded["warnings"]),
                normalized: measurements,
                normalized_warnings: texts(&normalized["warnings"]),
                has_dates,
            })
        }
        Ok(PayloadFormatter::FormatterCayennelpp) => {
            let data = cayenne::decode(bytes).map_err(|what| invalid(&what))?;
            Ok(Decoded { data: Some(data), ..Decoded::default() })
        }
        _ => Ok(Decoded::default()),
    }
}

/// The bytes of a downlink with these fields.
///
/// # Errors
/// The formatter's own.
pub(super) fn encode(formatters: &MessagePayloadFormatters, data: &Value, port: u32) -> Result<Encoded, Failure> {
    match PayloadFormatter::try_from(formatters.down_formatter) {
        Ok(PayloadFormatter::FormatterJavascript) => {
            let input = json!({"data": data, "fPort": port});
            let (output, _) = call(&formatters.down_formatter_parameter, DOWN, &input)?;
            without_errors(&output)?;
            let is_zero = |number: &Value| number.as_f64() == Some(0.0);
            let octet = |number: &Value| u8::try_from(if is_zero(number) { 0 } else { number.as_u64()? }).ok();
            let bytes = output["bytes"].as_array().into_iter().flatten().map(octet).collect::<Option<_>>();
            let bytes = bytes.ok_or_else(|| invalid("bytes that are not numbers from 0 to 255"))?;
            Ok(Encoded { bytes, port: output["fPort"].as_u64().and_then(|port| u32::try_from(port).ok()) })
        }
        Ok(PayloadFormatter::FormatterCayennelpp) => {
            let bytes = cayenne::encode(data).map_err(|what| invalid(&what))?;
            Ok(Encoded { bytes, port: None })
        }
        _ => Ok(Encoded::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(script: &str) -> MessagePayloadFormatters {
        let up_formatter = PayloadFormatter::FormatterJavascript.into();
        MessagePayloadFormatters { up_formatter, up_formatter_parameter: script.into(), ..Default::default() }
    }

    fn down(script: &str) -> MessagePayloadFormatters {
        let down_formatter = PayloadFormatter::FormatterJavascript.into();
        MessagePayloadFormatters { down_formatter, down_formatter_parameter: script.into(), ..Default::default() }
    }

    #[test]
    fn scripts_of_both_generations_run() {
        let old = decode(&up("function Decoder(b, port) { return {n: b.length, port: port}; }"), &[1, 2], 7).unwrap();
        assert_eq!(old.data, Some(json!({"n": 2, "port": 7})));
        let new = "function decodeUplink(input) { return {data: {b: input.bytes}, warnings: ['low']}; }
                   function normalizeUplink(input) { return {data: {n: input.data.b.length}, warnings: ['so']}; }";
        let new = decode(&up(new), &[1, 2], 7).unwrap();
        assert_eq!((new.data, new.warnings), (Some(json!({"b": [1, 2]})), vec!["low".to_owned()]));
        assert_eq!((new.normalized, new.normalized_warnings), (vec![json!({"n": 2})], vec!["so".to_owned()]));
        let old = encode(&down("function Encoder(o, port) { return [o.a, port]; }"), &json!({"a": 9}), 7).unwrap();
        assert_eq!(old, Encoded { bytes: vec![9, 7], port: Some(7) });
        let new = "function encodeDownlink(input) { return {bytes: [input.data.a], fPort: 12}; }";
        assert_eq!(encode(&down(new), &json!({"a": 9}), 7).unwrap(), Encoded { bytes: vec![9], port: Some(12) });
    }

    #[test]
    fn what_json_does_not_have_is_kept_or_told() {
        let decoded = |data: &str| {
            let script = format!("function decodeUplink(input) {{ return {{data: {data}}}; }}");
            let decoded = decode(&up(&script), &[1], 1).unwrap();
            (decoded.data.unwrap().to_string(), decoded.has_dates)
        };
        assert_eq!(decoded("{a: -0, b: [0, -0, {c: -0}]}"), (r#"{"a":-0.0,"b":[0,-0.0,{"c":-0.0}]}"#.into(), false));
        assert_eq!(decoded("{a: new Date(0), b: '1970'}"), (r#"{"a":{},"b":"1970"}"#.into(), true));
        assert_eq!(decoded("{a: [new Date(NaN)]}"), (r#"{"a":[{}]}"#.into(), true));
        let encoded = encode(&down("function Encoder(o) { return [o.a, -0]; }"), &json!({"a": -0.0}), 1).unwrap();
        assert_eq!(encoded.bytes, [0, 0]);
    }

    #[test]
    fn what_fails_says_so() {
        for script in [
            "function decodeUplink(input) { return {errors: ['bad']}; }",
            "function decodeUplink(input) { throw new Error('boom'); }",
            "function decodeUplink(input) { return {data: {t: 0 / 0}}; }",
            "function decodeUplink(input) { while (true) {} }",
            "function Decoder() { return 5; }",
            "var x = 1;",
            "function (",
        ] {
            assert!(decode(&up(script), &[1], 1).is_err(), "{script}");
        }
        assert!(encode(&down("function Encoder() { return [256]; }"), &json!({}), 1).is_err());
        assert_eq!(
            encode(&down("function encodeDownlink() { return {}; }"), &json!({}), 1).unwrap(),
            Encoded::default()
        );
        assert_eq!(decode(&MessagePayloadFormatters::default(), &[1], 1).unwrap(), Decoded::default());
    }
}
