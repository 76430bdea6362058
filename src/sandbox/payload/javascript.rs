//! Payload functions in JavaScript, each run in an engine of its own: no way out to the machine, bounded in time and memory.
//!
//! Why this engine: `docs/dev/payload-functions.md`.

use std::time::{Duration, Instant};

use rquickjs::context::intrinsic;
use rquickjs::{Context, Ctx, Exception, Runtime};
use serde_json::Value;

use super::Decoded;
use crate::sandbox::lorawan::Settings;

/// How long one function may run (V2 2.7).
const LIMIT: Duration = Duration::from_millis(100);
const MEMORY: usize = 32 << 20;
const STACK: usize = 512 << 10;

/// What a function printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct Log {
    /// `Decoder`, `Converter`, `Validator` or `Encoder`.
    pub(in crate::sandbox) function: &'static str,
    /// JSON texts, one for each argument.
    pub(in crate::sandbox) fields: Vec<String>,
}

/// Everything that a payload function needs from the language; nothing here reads files, clocks apart, or the network.
type Language = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::Json,
    intrinsic::MapSet,
    intrinsic::Promise,
    intrinsic::RegExp,
    intrinsic::RegExpCompiler,
    intrinsic::TypedArrays,
);

/// Collects what is printed, as JSON texts.
const CONSOLE: &str = "var __logs = [];
var console = { log: function () {
  __logs.push(Array.prototype.map.call(arguments, function (value) {
    var text = JSON.stringify(value);
    return text === undefined ? 'null' : text;
  }));
} };";

/// Run one function; gives its result as JSON and what it printed.
fn run(function: &'static str, code: &str, arguments: &str) -> Result<(Value, Vec<Log>), String> {
    let fail = |what: &str| format!("{function} threw error: {what}");
    let runtime = Runtime::new().map_err(|error| fail(&error.to_string()))?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let begun = Instant::now();
    runtime.set_interrupt_handler(Some(Box::new(move || begun.elapsed() > LIMIT)));
    let context = Context::custom::<Language>(&runtime).map_err(|error| fail(&error.to_string()))?;
    let outcome = context.with(|context| {
        evaluate(&context, CONSOLE)
            .and_then(|_| evaluate(&context, code))
            .and_then(|_| evaluate(&context, &format!("JSON.stringify({{r: {function}({arguments}), l: __logs}})")))
    });
    if begun.elapsed() > LIMIT {
        return Err(fail("Interrupted: it took longer than 100 ms"));
    }
    let text = outcome.map_err(|what| fail(&what))?.unwrap_or_default();
    let answer: Value = serde_json::from_str(&text).map_err(|error| fail(&error.to_string()))?;
    let logs = answer["l"].as_array().into_iter().flatten().map(|entry| {
        let fields = entry.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        Log { function, fields: fields.collect() }
    });
    Ok((answer["r"].clone(), logs.collect()))
}

/// Evaluate code; gives its value if that is a text.
fn evaluate<'js>(context: &Ctx<'js>, code: &str) -> Result<Option<String>, String> {
    match context.eval::<rquickjs::Value<'js>, _>(code) {
        Ok(value) => Ok(value.as_string().and_then(|text| text.to_string().ok())),
        Err(rquickjs::Error::Exception) => {
            let thrown = context.catch();
            let text = match thrown.as_exception() {
                Some(exception) => describe(exception),
                None => thrown.as_string().and_then(|text| text.to_string().ok()).unwrap_or_else(|| "unknown".into()),
            };
            Err(text)
        }
        Err(other) => Err(other.to_string()),
    }
}

fn describe(exception: &Exception<'_>) -> String {
    let name = exception.as_object().get::<_, String>("name").unwrap_or_else(|_| "Error".to_owned());
    format!("{name}: {}", exception.message().unwrap_or_default())
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
