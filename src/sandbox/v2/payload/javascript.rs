//! Payload functions in JavaScript, one after the other.

use serde_json::Value;

use super::Decoded;
use crate::sandbox::script;
use crate::sandbox::v2::Settings;

/// What a function printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox::v2) struct Log {
    /// `Decoder`, `Converter`, `Validator` or `Encoder`.
    pub(in crate::sandbox::v2) function: &'static str,
    /// JSON texts, one for each argument.
    pub(in crate::sandbox::v2) fields: Vec<String>,
}

/// Run one function; gives its result as JSON and what it printed.
fn run(function: &'static str, code: &str, arguments: &str) -> Result<(Value, Vec<Log>), String> {
    let outcome = script::run(code, &format!("{function}({arguments})"));
    let (answer, logs) = outcome.map_err(|what| format!("{function} threw error: {what}"))?;
    Ok((answer, logs.into_iter().map(|fields| Log { function, fields }).collect()))
}

fn json_bytes(bytes: &[u8]) -> String {
    Value::from(bytes.to_vec()).to_string()
}

/// Decoder, then converter, then validator; those that there are.
pub(super) fn decode(settings: &Settings, payload: &[u8], port: u8) -> Result<Decoded, String> {
    let mut decoded = Decoded { fields: Value::Null, valid: true, logs: Vec::new() };
    if settings.decoder.is_empty() {
        return Ok(decoded);
    }
    let unable = |error: String| format!("Unable to decode payload fields: {error}");
    let arguments = format!("{}, {port}", json_bytes(payload));
    let (fields, logs) = run("Decoder", &settings.decoder, &arguments).map_err(unable)?;
    decoded.logs.extend(logs);
    if !fields.is_object() {
        return Err(unable("Decoder not valid: does not return an object".to_owned()));
    }
    decoded.fields = fields;
    if !settings.converter.is_empty() {
        let (fields, logs) =
            run("Converter", &settings.converter, &format!("{}, {port}", decoded.fields)).map_err(unable)?;
        decoded.logs.extend(logs);
        if !fields.is_object() {
            return Err(unable("Converter not valid: does not return an object".to_owned()));
        }
        decoded.fields = fields;
    }
    if !settings.validator.is_empty() {
        let (verdict, logs) =
            run("Validator", &settings.validator, &format!("{}, {port}", decoded.fields)).map_err(unable)?;
        decoded.logs.extend(logs);
        decoded.valid =
            verdict.as_bool().ok_or_else(|| unable("Validator not valid: does not return a boolean".to_owned()))?;
    }
    Ok(decoded)
}

/// The encoder.
pub(super) fn encode(settings: &Settings, fields: &Value, port: u8) -> Result<(Vec<u8>, Vec<Log>), String> {
    if settings.encoder.is_empty() {
        return Err("Encoder not valid: the application has none".to_owned());
    }
    let unable = |error: String| format!("Unable to encode payload fields: {error}");
    let (result, logs) = run("Encoder", &settings.encoder, &format!("{fields}, {port}")).map_err(unable)?;
    let bytes = result
        .as_array()
        .and_then(|numbers| {
            numbers.iter().map(|number| u8::try_from(number.as_u64()?).ok()).collect::<Option<Vec<_>>>()
        })
        .ok_or_else(|| unable("Encoder not valid: should return an array of numbers, 0 to 255".to_owned()))?;
    Ok((bytes, logs))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoder(code: &str) -> Settings {
        Settings { payload_format: "custom".into(), decoder: code.into(), ..Settings::default() }
    }

    #[test]
    fn the_functions_run_one_after_the_other() {
        let settings = Settings {
            converter: "function Converter(decoded, port) { decoded.c = decoded.t + port; return decoded; }".into(),
            validator: "function Validator(converted, port) { return converted.c < 100; }".into(),
            ..decoder("function Decoder(bytes, port) { console.log('hi', bytes[0], undefined); return {t: bytes[0]}; }")
        };
        let decoded = decode(&settings, &[7], 2).unwrap();
        assert_eq!((decoded.fields, decoded.valid), (json!({"t": 7, "c": 9}), true));
        assert_eq!(
            decoded.logs,
            [Log { function: "Decoder", fields: vec!["\"hi\"".into(), "7".into(), "null".into()] }]
        );
        assert!(!decode(&settings, &[200], 2).unwrap().valid);
    }

    #[test]
    fn errors_are_told_in_the_engines_words() {
        for (code, words) in [
            ("function Decoder() { return x; }", "ReferenceError: x is not defined"),
            ("function Decoder() { throw 'oh'; }", "oh"),
            ("function Decoder() { return 5; }", "does not return an object"),
            ("function (", "SyntaxError"),
            ("var a = 1;", "ReferenceError: Decoder is not defined"),
        ] {
            let error = decode(&decoder(code), &[1], 1).unwrap_err();
            assert!(error.contains(words), "{code}: {error}");
        }
    }

    #[test]
    fn time_memory_and_depth_are_bounded() {
        for code in [
            "function Decoder() { while (true) {} }",
            "while (true) {}",
            "function Decoder() { var a = []; while (true) a.push(new Array(1000)); }",
            "function Decoder(b) { return Decoder(b); }",
            "function Decoder() { try { while (true) {} } catch (e) { return {}; } }",
        ] {
            assert!(decode(&decoder(code), &[1], 1).is_err(), "{code}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for name in
            ["require", "process", "fetch", "std", "os", "XMLHttpRequest", "setTimeout", "print", "globalThis.Deno"]
        {
            let code = format!("function Decoder() {{ return {{t: typeof {name}}}; }}");
            assert_eq!(decode(&decoder(&code), &[], 1).unwrap().fields, json!({"t": "undefined"}), "{name}");
        }
        assert!(
            decode(&decoder("function Decoder() { return import('fs'); }"), &[], 1)
                .map(|d| d.fields)
                .is_ok_and(|fields| fields == json!({}))
        );
    }

    #[test]
    fn an_encoder_gives_bytes() {
        let encoder = |code: &str| Settings { encoder: code.into(), ..Settings::default() };
        let led = encoder("function Encoder(object, port) { return [object.led ? 1 : 0, port]; }");
        assert_eq!(encode(&led, &json!({"led": true}), 3).unwrap().0, [1, 3]);
        for code in ["function Encoder() { return [256]; }", "function Encoder() { return 'x'; }", ""] {
            assert!(encode(&encoder(code), &json!({}), 1).is_err(), "{code}");
        }
    }
}
