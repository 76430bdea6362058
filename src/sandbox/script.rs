//! Scripts of users in JavaScript, each run in an engine of its own: no way out to the machine, bounded in time and memory.
//!
//! Why this engine, and how it is kept in bounds: `docs/dev/payload-functions.md`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rquickjs::context::intrinsic;
use rquickjs::{Context, Ctx, Exception, Runtime};
use serde_json::Value;

/// How long one call may take (V2 2.7).
const LIMIT: Duration = Duration::from_millis(100);
/// How much later a call is given up that the engine does not end by itself.
const GRACE: Duration = Duration::from_millis(50);
/// Enough for any table that a payload function has, and little enough that no single step on it takes long.
const MEMORY: usize = 8 << 20;
/// Most bytes that the engine takes to compile one of a script (measured: 176). It does not only fail but crashes where
/// memory runs out over that, so there must always be as much.
const COMPILING: usize = 256;
/// Bytes of a script; The Things Stack takes 40,960 characters.
const LONGEST: usize = 128 << 10;
/// Engines that may be at work at once.
const MOST: usize = 16;
const STACK: usize = 512 << 10;
const TOO_LONG: &str = "Interrupted: it took longer than 100 ms";

/// Engines at work, those that nobody waits for any more included.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

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

/// The engine looks at the clock between the steps of a script, and only after thousands of them; a function of its own,
/// such as the joining of an array, is one step. So each of these looks by itself, and arrays have a longest length.
const BOUNDS: &str = "(function (end) {
  var now = Date.now, most = 1000000, define = Object.defineProperty, names = Object.getOwnPropertyNames;
  var describe = Object.getOwnPropertyDescriptor, list = Array.isArray, words = String;
  var apply = Function.prototype.call.bind(Function.prototype.apply);
  function look() {
    if (now() > end) { throw new RangeError('it took too long'); }
  }
  function short(value) {
    if (value === null || typeof value !== 'object' && typeof value !== 'function') { return; }
    var length = describe(value, 'length');
    if (length && length.get) { throw new TypeError('length is not a plain number'); }
    if (value.length > most) { throw new RangeError('an array of more than ' + most + ' elements'); }
  }
  function bound(owner, check) {
    names(owner).forEach(function (name) {
      var its = describe(owner, name), native = its.value;
      if (typeof native !== 'function' || name === 'constructor' || !its.configurable) { return; }
      function bounded() {
        look();
        for (var at = 0; at < arguments.length; at++) { if (list(arguments[at])) { short(arguments[at]); } }
        if (check) { apply(check, this, arguments); }
        return apply(native, this, arguments);
      }
      define(bounded, 'name', { value: name });
      define(bounded, 'length', { value: native.length });
      define(owner, name, { value: bounded, writable: true, enumerable: false, configurable: true });
    });
  }
  [Array, Object, String, JSON, Reflect, Map.prototype, Set.prototype, RegExp.prototype,
    Object.getPrototypeOf(Uint8Array), Object.getPrototypeOf(Uint8Array.prototype)].forEach(function (owner) {
    bound(owner);
  });
  bound(String.prototype, function (other) {
    if (typeof other === 'object' && !(other instanceof RegExp)) { other = words(other); }
    if (typeof other === 'string' && this !== null && this !== undefined
        && words(this).length * other.length > 100 * most) {
      throw new RangeError('texts too long to look for one in the other');
    }
  });
  bound(Array.prototype, function () { short(this); });
  // Compiling without enough memory crashes the engine: see that there is.
  var Room = ArrayBuffer, longest = 10000;
  function compiling(native) {
    return function () {
      look();
      var size = 0, texts = { __proto__: null, length: arguments.length };
      for (var at = 0; at < arguments.length; at++) { texts[at] = words(arguments[at]); size += texts[at].length; }
      if (size > longest) { throw new RangeError('code of more than ' + longest + ' characters'); }
      new Room((size + 1000) * 256);
      return apply(native, this, texts);
    };
  }
  var its = eval, guarded = compiling(its);
  globalThis.eval = function (code) { return typeof code === 'string' ? guarded(code) : code; };
  [function () {}, function* () {}, async function () {}, async function* () {}].forEach(function (one) {
    var kind = Object.getPrototypeOf(one), make = compiling(kind.constructor);
    define(make, 'name', { value: kind.constructor.name });
    define(make, 'prototype', { value: kind });
    define(kind, 'constructor', { value: make, writable: true, enumerable: false, configurable: true });
  });
  globalThis.Function = (function () {}).constructor;
})";

/// Evaluate an expression after a script; gives its value and what was printed, a list of JSON texts each time. What does
/// not end within the limit is given up then.
///
/// # Errors
/// What was thrown, in the engine's words.
pub(super) fn run(code: &str, expression: &str) -> Result<(Value, Vec<Vec<String>>), String> {
    for text in [code, expression] {
        if text.len() > LONGEST {
            return Err(format!("RangeError: a script of {} bytes, of at most {LONGEST}", text.len()));
        }
    }
    let (code, expression) = (code.to_owned(), expression.to_owned());
    let (tell, told) = mpsc::sync_channel(1);
    if !begin(&AT_WORK, Instant::now() + LIMIT + GRACE) {
        return Err(format!("Interrupted: {MOST} scripts run, which do not end within their time"));
    }
    let work = move || {
        // Nobody may wait for it any more.
        let _late = tell.send(within_bounds(&code, &expression, LIMIT));
        AT_WORK.fetch_sub(1, Ordering::AcqRel);
    };
    if let Err(error) = std::thread::Builder::new().name("thingslink-script".into()).spawn(work) {
        AT_WORK.fetch_sub(1, Ordering::AcqRel);
        return Err(format!("cannot start a thread for the script: {error}"));
    }
    told.recv_timeout(LIMIT + GRACE).unwrap_or_else(|_| Err(TOO_LONG.to_owned()))
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

fn within_bounds(code: &str, expression: &str, limit: Duration) -> Result<(Value, Vec<Vec<String>>), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    runtime.set_max_stack_size(STACK);
    let begun = Instant::now();
    runtime.set_interrupt_handler(Some(Box::new(move || begun.elapsed() > limit)));
    let context = Context::custom::<Language>(&runtime).map_err(|error| error.to_string())?;
    // What is called last is compiled first, as long as the script has not filled the memory.
    let call = format!("function __call() {{ return JSON.stringify({{r: {expression}, l: __logs}}); }}");
    let bounds = format!("{BOUNDS}(Date.now() + {});", limit.as_millis());
    let outcome = [CONSOLE, &bounds, &call, code, "__call()"].into_iter().try_fold(None, |_, step| {
        runtime.set_memory_limit(MEMORY + COMPILING * step.len().max(code.len()));
        context.with(|context| evaluate(&context, step))
    });
    if begun.elapsed() > limit {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing may be at work for longer: many times what is promised, since machines are busy.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn nothing_is_at_work() -> bool {
        let until = Instant::now() + PATIENCE;
        while AT_WORK.load(Ordering::Acquire) != 0 && Instant::now() < until {
            std::thread::yield_now();
        }
        AT_WORK.load(Ordering::Acquire) == 0
    }

    fn text(code: &str) -> String {
        run("", code).unwrap().0.as_str().unwrap().to_owned()
    }

    #[test]
    fn no_function_of_the_engine_runs_on_after_the_limit() {
        for code in [
            "new Array(4294967295).join('')",
            "var a = []; a.length = 4294967295; String(a)",
            "Array.prototype.join.call({ length: 9007199254740991 }, '')",
            "[].concat(new Array(4294967295), new Array(4294967295)).reverse()",
            "var s = 'a'.repeat(1000000); s.indexOf('a'.repeat(500000) + 'b')",
            "var s = 'a'.repeat(1000000); s.split('a'.repeat(500000) + 'b')",
            "/(a+)+$/.test('a'.repeat(60) + 'b')",
            "var u = new Uint8Array(4000000); while (true) { try { u.indexOf(1); } catch (e) {} }",
            "while (true) { try { new Array(4294967295).fill(0); } catch (e) {} }",
        ] {
            let outcome = run("", &format!("(function () {{ return eval({}); }})()", Value::from(code)));
            assert!(outcome.is_err(), "{code}: {outcome:?}");
        }
        assert!(nothing_is_at_work());
    }

    #[test]
    fn every_function_of_the_language_ends_on_what_is_longest() {
        let owners = "[Array, Array.prototype, Object, String, String.prototype, JSON, Map.prototype, Set.prototype, \
                      RegExp.prototype, Object.getPrototypeOf(Uint8Array.prototype), Reflect, Math, Function.prototype]";
        let count = run("", &format!("{owners}.length")).unwrap().0.as_u64().unwrap();
        let mut tried = 0;
        for owner in 0..count {
            let names = text(&format!("Object.getOwnPropertyNames({owners}[{owner}]).join(' ')"));
            for name in names.split(' ').filter(|name| *name != "constructor") {
                for longest in ["new Array(4294967295)", "({ length: 9007199254740991 })", "'a'.repeat(1000000)"] {
                    let code = format!(
                        "(function () {{ var long = {longest}, its = {owners}[{owner}]['{name}']; \
                         if (typeof its === 'function') {{ its.call(long, long, long, 1); }} return 1; }})()"
                    );
                    // Whatever comes of it: it comes.
                    if run("", &code).is_err_and(|error| error == TOO_LONG) {
                        assert!(nothing_is_at_work(), "{code}");
                    }
                    tried += 1;
                }
            }
        }
        assert!(tried > 300, "{tried}");
        assert!(nothing_is_at_work());
    }

    #[test]
    fn memory_that_runs_out_while_the_engine_compiles_ends_the_script_alone() {
        // One after the other, all that may be left of the memory.
        let kinds = [("eval(code)", 4_000), ("new Function(code)", 60_000), ("[code].map(eval)", 60_000)];
        for (compile, step) in kinds {
            for left in (7_700_000..8_300_000).step_by(step) {
                let code = format!(
                    "(function () {{ var all = [], code = 'if(1);'.repeat(800), left = {left}; \
                     for (; left > 1000000; left -= 1000000) {{ all.push('x'.repeat(1000000)); }} \
                     all.push('y'.repeat(left)); {compile}; return 1; }})()"
                );
                // Whatever comes of it: it comes.
                let _outcome = within_bounds("", &code, PATIENCE);
            }
        }
        assert!(run(&"x=>y=>z=>1,".repeat(20_000), "1").unwrap_err().contains("at most"));
        assert!(run("", "eval('1,'.repeat(20000) + 1)").unwrap_err().contains("10000 characters"));
    }

    #[test]
    fn only_so_many_engines_are_at_work() {
        let at_work = AtomicUsize::new(0);
        assert!((0..MOST).all(|_| begin(&at_work, Instant::now())));
        assert!(!begin(&at_work, Instant::now()));
        at_work.fetch_sub(1, Ordering::AcqRel);
        assert!(begin(&at_work, Instant::now()) && at_work.into_inner() == MOST);
    }

    #[test]
    fn functions_of_the_language_do_what_they_did() {
        for (code, expected) in [
            ("[3, 1, 2].sort().join('-')", "1-2-3"),
            ("[1, [2, [3]]].flat().concat([4], 5).join()", "1,2,3,4,5"),
            ("Array.prototype.slice.call({ length: 2, 0: 'a', 1: 'b' }).join('')", "ab"),
            ("'a,b'.split(',').map(function (x) { return x.toUpperCase(); }).join('')", "AB"),
            ("'x1y2'.replace(/[0-9]/g, '').padStart(4, '0') + 'abc'.indexOf('c')", "00xy2"),
            ("Object.keys({ a: 1, b: 2 }).join('') + JSON.stringify([1]) + Array.from('ab').length", "ab[1]2"),
            ("new Uint8Array([1, 2, 3]).subarray(1).join('') + Array.prototype.join.name", "23join"),
            ("eval('1 + 1') + new Function('a', 'b', 'return a + b')(3, 4) + Function.name + eval(5)", "9Function5"),
            ("'' + (Function.prototype.call instanceof Function) + (function () {}).constructor.length", "true0"),
            ("String.fromCharCode.apply(null, [104, 105]) + [1, 2].length + Array.prototype.push.length", "hi21"),
        ] {
            assert_eq!(text(code), expected, "{code}");
        }
    }
}
