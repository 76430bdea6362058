//! Scripts of users in JavaScript, each run in an engine of its own: no way out to the machine, bounded in time and memory.
//!
//! Why this engine: `docs/dev/payload-functions.md`.

use std::time::{Duration, Instant};

use rquickjs::context::intrinsic;
use rquickjs::{Context, Ctx, Exception, Runtime};
use serde_json::Value;

/// How long one call may take (V2 2.7).
const LIMIT: Duration = Duration::from_millis(100);
const MEMORY: usize = 32 << 20;
const STACK: usize = 512 << 10;

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

/// Evaluate an expression after a script; gives its value and what was printed, a list of JSON texts each time.
///
/// # Errors
/// What was thrown, in the engine's words.
pub(super) fn run(code: &str, expression: &str) -> Result<(Value, Vec<Vec<String>>), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let begun = Instant::now();
    runtime.set_interrupt_handler(Some(Box::new(move || begun.elapsed() > LIMIT)));
    let context = Context::custom::<Language>(&runtime).map_err(|error| error.to_string())?;
    let outcome = context.with(|context| {
        evaluate(&context, CONSOLE)
            .and_then(|_| evaluate(&context, code))
            .and_then(|_| evaluate(&context, &format!("JSON.stringify({{r: {expression}, l: __logs}})")))
    });
    if begun.elapsed() > LIMIT {
        return Err("Interrupted: it took longer than 100 ms".to_owned());
    }
    let text = outcome?.unwrap_or_default();
    let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let logs = answer["l"].as_array().into_iter().flatten().map(|entry| {
        let fields = entry.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        fields.collect()
    });
    let logs = logs.collect();
    Ok((answer["r"].take(), logs))
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
