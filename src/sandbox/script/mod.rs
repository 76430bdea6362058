//! Scripts of users in JavaScript, each run in an engine of its own: no way out to the machine, bounded in time and memory.
//!
//! Why this engine, and how it is kept in bounds: `docs/dev/payload-functions.md`.

mod apart;
mod courtesy;
mod language;
mod memory;
mod spent;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::{Context, Ctx, Exception, FromJs, Function, Runtime};
use serde_json::Value;

pub use self::apart::{run_scripts_by, serve as serve_scripts};
use self::language::{BOUNDS, CONSOLE, Language};
use self::memory::{Memory, Stage};
use self::spent::spent;

/// How long one call may take (V2 2.7).
const LIMIT: Duration = Duration::from_millis(100);
/// How much later a call is given up that the engine does not end by itself.
const GRACE: Duration = Duration::from_millis(50);
/// How often a call is begun that was given up though it had had little of the processor: the machine is busy.
const ATTEMPTS: usize = 4;
/// Bytes of a script; The Things Stack takes 40,960 characters.
const LONGEST: usize = 128 << 10;
/// Engines that may be at work at once.
const MOST: usize = 16;
const STACK: usize = 512 << 10;
const TOO_LONG: &str = "Interrupted: it took longer than 100 ms";
/// What code calls first: it is compiled.
const COMPILED: &str = "__compiled";

/// The value of the expression and what was printed, or what was thrown.
type Outcome = Result<(Value, Vec<Vec<String>>), String>;

/// Engines at work, those that nobody waits for any more included.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// One of the engines at work.
struct Place(&'static AtomicUsize);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Evaluate an expression after a script; gives its value and what was printed, a list of JSON texts each time. What does
/// not end within the limit is given up then.
///
/// # Errors
/// What was thrown, in the engine's words.
pub(super) fn run(code: &str, expression: &str) -> Outcome {
    apart::run(code, expression).unwrap_or_else(|| run_here(code, expression))
}

/// As [`run`], in this process.
fn run_here(code: &str, expression: &str) -> Outcome {
    run_among(&AT_WORK, code, expression, LIMIT)
}

fn run_among(at_work: &'static AtomicUsize, code: &str, expression: &str, limit: Duration) -> Outcome {
    for text in [code, expression] {
        if text.len() > LONGEST {
            return Err(format!("RangeError: a script of {} bytes, of at most {LONGEST}", text.len()));
        }
    }
    fairly(limit, || attempt(at_work, code, expression, limit))
}

/// Make attempts until one is not given up, or has had its share of the processor.
fn fairly(limit: Duration, mut attempt: impl FnMut() -> (Outcome, Option<Duration>)) -> Outcome {
    for _ in 1..ATTEMPTS {
        let (outcome, spent) = attempt();
        let starved = spent.is_some_and(|spent| spent < limit / 2);
        if !starved || outcome.as_ref().map_or_else(|error| error != TOO_LONG, |_| true) {
            return outcome;
        }
    }
    attempt().0
}

/// Gives also what the script has had of the processor, if it came to its end.
fn attempt(
    at_work: &'static AtomicUsize,
    code: &str,
    expression: &str,
    limit: Duration,
) -> (Outcome, Option<Duration>) {
    let (code, expression) = (code.to_owned(), expression.to_owned());
    let (tell, told) = mpsc::sync_channel(1);
    if !begin(at_work, Instant::now() + limit + GRACE) {
        let text = format!(
            "Interrupted: {MOST} scripts are at work, which is as many as may be: some do not end in their time"
        );
        return (Err(text), None);
    }
    let (place, stage) = (Place(at_work), Arc::new(Stage::default()));
    let shared = stage.clone();
    let work = move || {
        shared.begin(courtesy::this());
        let ended = (within_bounds(&code, &expression, &shared, limit), spent());
        drop(place);
        // Nobody may wait for it any more.
        let _late = tell.send(ended);
    };
    let started = std::thread::Builder::new().name("thingslink-script".into()).spawn(work);
    if let Err(error) = started {
        return (Err(format!("cannot start a thread for the script: {error}")), None);
    }
    let in_time = told.recv_timeout(limit);
    stage.end();
    in_time.or_else(|_| told.recv_timeout(GRACE)).unwrap_or_else(|_| {
        if let Some(thread) = stage.thread() {
            courtesy::step_back(thread);
        }
        (Err(TOO_LONG.to_owned()), None)
    })
}

/// Count one more engine at work, when there may be one; tells whether there was until then.
fn begin(at_work: &AtomicUsize, until: Instant) -> bool {
    let one_more = |count: usize| (count < MOST).then_some(count + 1);
    while at_work.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_err() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

fn within_bounds(code: &str, expression: &str, stage: &Arc<Stage>, limit: Duration) -> Outcome {
    stage.compile();
    let runtime = Runtime::new_with_alloc(Memory::new(stage.clone())).map_err(|error| error.to_string())?;
    runtime.set_max_stack_size(STACK);
    let begun = Instant::now();
    let ends = stage.clone();
    runtime.set_interrupt_handler(Some(Box::new(move || ends.is_over() || begun.elapsed() > limit)));
    let context = Context::custom::<Language>(&runtime).map_err(|error| error.to_string())?;
    let outcome = context.with(|context| call(&context, code, expression, stage, limit));
    if stage.is_over() || begun.elapsed() > limit {
        return Err(TOO_LONG.to_owned());
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

/// Gives what the expression and the console come to, as JSON.
fn call(
    context: &Ctx<'_>,
    code: &str,
    expression: &str,
    stage: &Arc<Stage>,
    limit: Duration,
) -> Result<Option<String>, String> {
    let told = |error: rquickjs::Error| describe(context, &error);
    let tell = |stage: &Arc<Stage>, what: fn(&Stage)| {
        let stage = stage.clone();
        Function::new(context.clone(), move || what(&stage)).map_err(told)
    };
    let (compile, run) = (tell(stage, Stage::compile)?, tell(stage, Stage::run)?);
    evaluate::<()>(context, CONSOLE).map_err(told)?;
    let bounds: Function<'_> = evaluate(context, BOUNDS).map_err(told)?;
    let ends = evaluate::<f64>(context, "Date.now()").map_err(told)? + limit.as_millis() as f64;
    bounds.call::<_, ()>((ends, compile, run, COMPILED)).map_err(told)?;
    // What is called last is compiled first: nothing else has the memory yet.
    let last: Function<'_> =
        evaluate(context, &format!("(function () {{ return JSON.stringify({{r: {expression}, l: __logs}}); }})"))
            .map_err(told)?;
    let outcome = evaluate::<rquickjs::Value<'_>>(context, &begun_with_a_call(code));
    stage.run();
    outcome.map_err(told)?;
    let value: rquickjs::Value<'_> = last.call(()).map_err(told)?;
    Ok(value.as_string().and_then(|text| text.to_string().ok()))
}

/// Code that says first that it is compiled.
fn begun_with_a_call(code: &str) -> String {
    let strict = ["'use strict'", "\"use strict\""].iter().find(|word| code.trim_start().starts_with(**word));
    format!("{}{COMPILED}();{code}", strict.map(|word| format!("{word};")).unwrap_or_default())
}

/// Evaluate code, which is strict only where it says so: the networks' engines take it like that.
fn evaluate<'js, T: FromJs<'js>>(context: &Ctx<'js>, code: &str) -> rquickjs::Result<T> {
    let mut options = EvalOptions::default();
    options.strict = false;
    context.eval_with_options(code, options)
}

/// What was thrown, in the engine's words.
fn describe(context: &Ctx<'_>, error: &rquickjs::Error) -> String {
    if !matches!(error, rquickjs::Error::Exception) {
        return error.to_string();
    }
    let thrown = context.catch();
    match thrown.as_exception() {
        Some(exception) => words(exception),
        None => thrown.as_string().and_then(|text| text.to_string().ok()).unwrap_or_else(|| "unknown".into()),
    }
}

fn words(exception: &Exception<'_>) -> String {
    let name = exception.as_object().get::<_, String>("name").unwrap_or_else(|_| "Error".to_owned());
    format!("{name}: {}", exception.message().unwrap_or_default())
}
