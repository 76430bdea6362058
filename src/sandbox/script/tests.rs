use super::*;

/// Nothing may be at work for longer: many times what is promised, since machines are busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest text, list and number that there are.
const LONG: &str = "var o = {}, t = '1'.repeat(131000), u = '1'.repeat(130999) + 2;
    var w = '1'.repeat(65000) + '\u{4e00}', n = '1'.repeat(65000) + 2, bytes = new Uint8Array(120000);
    var a = [], big = 3n; try { while (true) { a.push(1); } } catch (e) {}
    try { while (true) { big = big * big; } } catch (e) {}";

/// As many prototypes as there is memory for.
const DEEP: &str = "var deep = {}; try { while (true) { deep = { __proto__: deep }; } } catch (e) {}";

/// What is done with them again and again.
const OPERATORS: &[(&str, &str)] = &[
    (LONG, "+t"),
    (LONG, "t * 1"),
    (LONG, "~t"),
    (LONG, "t == u"),
    (LONG, "t < u"),
    (LONG, "t == 1"),
    (LONG, "w == n"),
    (LONG, "w < n"),
    (LONG, "o[t]"),
    (LONG, "o[u] = 1; delete o[u]"),
    (LONG, "t in o"),
    (LONG, "`${t}${u}`"),
    (LONG, "w + t == w + u"),
    (LONG, "t += 1"),
    (LONG, "[...a]"),
    (LONG, "[...t]"),
    (LONG, "({ ...a })"),
    (LONG, "Math.max(...a)"),
    (LONG, "var [first, ...rest] = a"),
    (LONG, "var [x, y] = new Array(4294967295)"),
    (LONG, "var { length, ...others } = a"),
    (LONG, "a + ''"),
    (LONG, "a == t"),
    (LONG, "[a, a] + 1"),
    (LONG, "for (var key in a) { break; }"),
    (LONG, "new Uint8Array(a)"),
    (LONG, "new Uint8Array(bytes)"),
    (LONG, "new Uint8Array({ length: 4294967295 })"),
    (LONG, "new Set(a)"),
    (LONG, "new Map([[t, u]]).get(u)"),
    (LONG, "new Array(4294967295) + ''"),
    (LONG, "big * big"),
    (LONG, "big % (big - 1n)"),
    (LONG, "big == big + 1n"),
    (LONG, "big + ''"),
    (LONG, "BigInt(t)"),
    (LONG, "parseFloat(t)"),
    (LONG, "encodeURIComponent(t)"),
    (LONG, "Symbol.for(t)"),
    (LONG, "new Date(t)"),
    (LONG, "new Error(t).stack"),
    (LONG, "/1+$/.exec(t)"),
    (LONG, "try { null[t] } catch (e) { e.message }"),
    (DEEP, "deep.missing"),
    (DEEP, "'missing' in deep"),
    (DEEP, "deep instanceof Array"),
];

/// Engines of one test alone: others run scripts meanwhile.
struct Engines(&'static AtomicUsize);

impl Engines {
    fn new() -> Self {
        Self(Box::leak(Box::default()))
    }

    fn run(&self, code: &str, expression: &str, limit: Duration) -> Result<(Value, Vec<Vec<String>>), String> {
        run_among(self.0, code, expression, limit)
    }

    fn have_ended(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while self.0.load(Ordering::Acquire) != 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.0.load(Ordering::Acquire) == 0
    }
}

/// Run what ends by itself, however busy the machine is.
fn patiently(code: &str, expression: &str) -> Result<Value, String> {
    within_bounds(code, expression, &Arc::default(), PATIENCE).map(|(value, _)| value)
}

fn text(code: &str) -> String {
    patiently("", code).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn no_function_of_the_engine_runs_on_after_the_limit() {
    let engines = Engines::new();
    for code in [
        "new Array(4294967295).join('')",
        "var a = []; a.length = 4294967295; String(a)",
        "Array.prototype.join.call({ length: 9007199254740991 }, '')",
        "[].concat(new Array(4294967295), new Array(4294967295)).reverse()",
        "var s = 'a'.repeat(100000); s.indexOf('a'.repeat(50000) + 'b')",
        "var s = 'a'.repeat(100000); s.split('a'.repeat(50000) + 'b')",
        "/(a+)+$/.test('a'.repeat(60) + 'b')",
        "var u = new Uint8Array(100000); while (true) { try { u.indexOf(1); } catch (e) {} }",
        "while (true) { try { new Array(4294967295).fill(0); } catch (e) {} }",
    ] {
        let code = format!("(function () {{ return eval({}); }})()", Value::from(code));
        let outcome = engines.run("", &code, LIMIT);
        assert!(outcome.is_err(), "{code}: {outcome:?}");
    }
    assert!(engines.have_ended());
}

#[test]
fn every_function_of_the_language_ends_on_what_is_longest() {
    let engines = Engines::new();
    let owners = "[Array, Array.prototype, Object, String, String.prototype, JSON, Map.prototype, Set.prototype, \
                  RegExp.prototype, Object.getPrototypeOf(Uint8Array.prototype), Reflect, Math, Function.prototype]";
    let count = patiently("", &format!("{owners}.length")).unwrap().as_u64().unwrap();
    let mut tried = 0;
    for owner in 0..count {
        let names = text(&format!("Object.getOwnPropertyNames({owners}[{owner}]).join(' ')"));
        for name in names.split(' ').filter(|name| *name != "constructor") {
            for longest in ["new Array(4294967295)", "({ length: 9007199254740991 })", "'a'.repeat(100000)"] {
                let code = format!(
                    "(function () {{ var long = {longest}, its = {owners}[{owner}]['{name}']; \
                     if (typeof its === 'function') {{ its.call(long, long, long, 1); }} return 1; }})()"
                );
                // Whatever comes of it: it comes.
                if engines.run("", &code, LIMIT).is_err_and(|error| error == TOO_LONG) {
                    assert!(engines.have_ended(), "{code}");
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 300, "{tried}");
    assert!(engines.have_ended());
}

#[test]
fn no_operator_goes_on_after_the_limit() {
    let engines = Engines::new();
    for (values, operator) in OPERATORS {
        let code = format!("(function () {{ {values} while (true) {{ try {{ {operator}; }} catch (e) {{}} }} }})()");
        assert_eq!(engines.run("", &code, LIMIT), Err(TOO_LONG.to_owned()), "{operator}");
        assert!(engines.have_ended(), "{operator}");
    }
}

/// Texts that were put together are trees of their parts, which are compared without being copied.
#[cfg(target_os = "linux")]
#[test]
fn a_script_that_cannot_be_ended_comes_last() {
    let engines = Engines::new();
    let code = "(function () { var t = '1'.repeat(100000); for (var at = 0; at < 10; at++) { t = t + t; }
        var a = t + 1, b = t + 1; while (true) { if (a < b) { t = 1; } } })()";
    assert_eq!(engines.run("", code, LIMIT), Err(TOO_LONG.to_owned()));
    let comes_last = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        // The name stands in parentheses; the 19th field is how nice a thread is.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        stat.contains("(thingslink-scri") && after.split_whitespace().nth(16) == Some("19")
    };
    let is_over = engines.0.load(Ordering::Acquire) == 0;
    assert!(std::fs::read_dir("/proc/self/task").unwrap().any(comes_last) || is_over);
}

#[test]
fn a_script_itself_ends_as_its_functions_do() {
    let engines = Engines::new();
    for code in ["while (true) { +t; }", "function f() { while (true) { o[t]; } } f();", "eval('while (true) { +t; }')"]
    {
        assert_eq!(engines.run(&format!("{LONG} {code}"), "1", LIMIT), Err(TOO_LONG.to_owned()), "{code}");
        assert!(engines.have_ended(), "{code}");
    }
}

#[test]
fn memory_that_is_full_while_the_engine_compiles_ends_the_script_alone() {
    let full = "var all = []; [60000, 500, 16].forEach(function (size) {
        try { while (true) { all.push('x'.repeat(size - 1) + all.length); } } catch (e) {} });";
    for compile in ["eval(code)", "new Function(code)()", "[code].map(eval)", "new RegExp('(a|b)*'.repeat(200))"] {
        for free in [0, 1, 2, 5, 10, 20, 50] {
            let code = format!(
                "(function () {{ var code = 'if(1);'.repeat(800); {full} all.length -= {free}; {compile}; return 1; }})()"
            );
            // Whatever comes of it: it comes.
            let _outcome = patiently("", &code);
        }
    }
    assert!(run(&"x=>y=>z=>1,".repeat(20_000), "1").unwrap_err().contains("at most"));
    assert!(patiently("", "eval('1,'.repeat(20000) + 1)").unwrap_err().contains("10000 characters"));
}

#[test]
fn code_cannot_keep_the_memory_that_compiling_may_have() {
    for code in [
        "eval('function __compiled() {}')",
        "eval('var __compiled = 1; __compiled = 2')",
        "eval('let __compiled = 1')",
        "delete globalThis.__compiled",
        "Object.defineProperty(globalThis, '__compiled', { value: 1 })",
        "Error.prepareStackTrace = function () { f(); }; eval('(')",
        "new Function('a = f()', '(')",
        "eval({ toString: function () { f(); } })",
    ] {
        let grow = "function f() { var t = 'x'.repeat(60000); while (t.length < 1000000) { t += t; } return t.charCodeAt(1); }";
        let code = format!("(function () {{ try {{ {code}; }} catch (e) {{}} return eval('f()'); }})()");
        let error = patiently(grow, &code).unwrap_err();
        assert!(error.contains("out of memory"), "{code}: {error}");
    }
}

#[test]
fn code_is_strict_only_where_it_says_so() {
    for (code, expected) in [
        ("function f() { for (i = 0; i < 3; i++) {} return '' + i; }", "3"),
        ("function f() { return '' + 010; }", "8"),
        ("'use strict'; function f() { try { late = 1; } catch (error) { return error.name; } }", "ReferenceError"),
        ("\n \"use strict\";function f() { return '' + (this === undefined); }", "true"),
        ("function f() { return eval('\"use strict\"; (function () { return typeof this; })()'); }", "undefined"),
        ("function f() { return eval('(function () { return typeof this; })()'); }", "object"),
    ] {
        assert_eq!(patiently(code, "f()").unwrap(), expected, "{code}");
    }
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

#[test]
fn a_script_that_had_no_processor_is_run_again() {
    let too_long = || Err(TOO_LONG.to_owned());
    let run = |outcomes: Vec<(Outcome, Option<Duration>)>| {
        let mut outcomes = outcomes.into_iter();
        let outcome = fairly(LIMIT, || outcomes.next().unwrap());
        (outcome, outcomes.len())
    };
    let (little, all, nothing) = (Some(LIMIT / 10), Some(LIMIT), None);
    let done: Outcome = Ok((Value::from(1), Vec::new()));
    assert_eq!(run(vec![(too_long(), little), (done.clone(), little)]), (done.clone(), 0));
    assert_eq!(run(vec![(too_long(), all), (done.clone(), little)]), (too_long(), 1));
    assert_eq!(run(vec![(too_long(), nothing), (done.clone(), little)]), (too_long(), 1));
    assert_eq!(run(vec![(Err("x".into()), little), (done, little)]), (Err("x".into()), 1));
    assert_eq!(run((0..9).map(|_| (too_long(), little)).collect()), (too_long(), 9 - ATTEMPTS));
}
