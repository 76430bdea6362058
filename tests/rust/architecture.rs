//! Who may use whom: reads `src/` and fails on any edge that `docs/dev/architecture.md` does not have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;
use std::path::{Path, PathBuf};

use self::source::{File, Tree};

#[path = "architecture/source.rs"]
mod source;

/// What each module may name behind `crate::`, beside itself and the leaves; `a::b` is that part of it alone.
/// `fuzz` is there for tests alone.
const LEAVES: [&str; 8] = ["error", "ids", "endpoint", "backoff", "file", "net", "sync", "fuzz"];
const MAY_USE: [(&str, &[&str]); 18] = [
    ("sync", &[]),
    ("fuzz", &[]),
    ("error", &[]),
    ("ids", &[]),
    ("endpoint", &[]),
    ("backoff", &[]),
    ("file", &[]),
    ("net", &[]),
    ("dialect", &[]),
    ("rpc", &[]),
    ("session", &["dialect::mqtt"]),
    ("pool", &[]),
    ("nats", &["dialect"]),
    ("client", &["session", "dialect", "rpc", "nats"]),
    ("bridge", &["client", "session", "dialect", "nats"]),
    ("table", &["dialect"]),
    ("sandbox", &["dialect", "rpc"]),
    ("py", &["session", "dialect", "rpc", "pool", "client", "table", "sandbox", "nats", "bridge"]),
];

/// Rooms that do not know each other: within a line, no room names another. What they share stands outside of them.
const APART: [&[(&str, &[&str])]; 3] = [
    &[
        (
            "the LoRaWAN networks",
            &[
                "dialect::lorawan",
                "client::lorawan",
                "client::managed",
                "client::stack",
                "client::chirpstack",
                "sandbox::v2",
                "sandbox::v3",
                "sandbox::chirpstack",
                "py::lorawan",
                "py::manage",
            ],
        ),
        (
            "ThingsBoard",
            &[
                "dialect::thingsboard",
                "client::thingsboard",
                "sandbox::thingsboard",
                "py::thingsboard",
                "py::sandbox::thingsboard",
            ],
        ),
    ],
    &[
        ("V2", &["dialect::lorawan::v2", "sandbox::v2", "py::manage::calls"]),
        ("V3", &["dialect::lorawan::v3", "client::stack", "sandbox::v3", "py::manage::v3"]),
        (
            "ChirpStack",
            &["dialect::lorawan::chirpstack", "client::chirpstack", "sandbox::chirpstack", "py::manage::chirpstack"],
        ),
    ],
    &[
        (
            "the face with callbacks",
            &[
                "py::lorawan::callbacks",
                "py::lorawan::client",
                "py::lorawan::deliver",
                "py::lorawan::device",
                "py::lorawan::handlers",
                "py::lorawan::setters",
            ],
        ),
        ("thingslink.aio", &["py::aio"]),
    ],
];

/// The boundary is below the Python package and imports nothing of it, but for these: file or folder, what, why.
const UPWARD: [(&str, &str, &str); 2] = [
    ("py/proto/", "thingslink._native", "itself: pickling finds the function that restores a message by its name"),
    ("py/lorawan/", "thingslink._native", "itself: likewise, and a method of its own class as a plain function"),
];

/// Longest a file may be, in lines, tests not counted.
const LINES: usize = 450;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether a path is a room or leads into it.
fn is_within(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// All that is wrong with a file, each as one line.
fn faults(tree: &Tree, file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let own = file.module.join("::");
    let Some(top) = file.module.first() else { return faults };
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| name == top) else {
        return vec![format!("{}: no rule for {top}", file.name)];
    };
    for forms in tree.named(file) {
        let forms: Vec<String> = forms.iter().map(|path| path.join("::")).collect();
        // A name of the crate's root is what it stands for; elsewhere a re-export belongs to who exports it.
        let leads = forms.iter().find(|path| MAY_USE.iter().any(|(name, _)| is_within(path, name)));
        let may = |path: &String| {
            is_within(path, top) || LEAVES.iter().chain(*allowed).any(|allowed| is_within(path, allowed))
        };
        // The root alone stands in `pub(crate)`.
        if !forms[0].is_empty() && !leads.is_some_and(may) {
            faults.push(format!("{} names {}", file.name, forms[0]));
        }
        for rooms in APART {
            let room_of = |path: &str| rooms.iter().find(|(_, rooms)| rooms.iter().any(|room| is_within(path, room)));
            let Some((here, _)) = room_of(&own) else { continue };
            let other = forms.iter().find_map(|path| room_of(path).filter(|(there, _)| there != here));
            // Behind `super::*` in a room is what its parent has, which is both networks.
            let is_parent = |path: &str| rooms.iter().any(|(_, rooms)| rooms.iter().any(|room| is_within(room, path)));
            let glob = forms.iter().find(|path| path.strip_suffix("::*").is_some_and(is_parent));
            if let Some((there, _)) = other {
                faults.push(format!("{} is of {here} and names {there}: {}", file.name, forms[0]));
            } else if let Some(glob) = glob.filter(|glob| room_of(glob.trim_end_matches("::*")).is_none()) {
                faults.push(format!("{} is of {here} and names all of {glob}", file.name));
            }
        }
    }
    for module in tree.asked(file) {
        let is_ours = module == "thingslink" || module.starts_with("thingslink.");
        let is_allowed = UPWARD.iter().any(|(place, allowed, _)| file.name.starts_with(place) && *allowed == module);
        if is_ours && !is_allowed {
            faults.push(format!("{} imports {module}", file.name));
        }
    }
    let code = ["import thingslink", "from thingslink"];
    if let Some(text) = file.strings.iter().find(|text| code.iter().any(|code| text.contains(code))) {
        faults.push(format!("{} imports in a text: {text}", file.name));
    }
    if top != "py" && file.names_python {
        faults.push(format!("{} names Python", file.name));
    }
    if file.lines > LINES {
        faults.push(format!("{} has {} lines", file.name, file.lines));
    }
    faults
}

#[test]
fn modules_use_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let mut tree = Tree::default();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
        tree.add(name, &fs::read_to_string(&file).unwrap());
    }
    let faults: Vec<String> = tree.files.iter().flat_map(|file| faults(&tree, file)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for (place, module, _) in UPWARD {
        let needed = |file: &File| file.name.starts_with(place) && tree.asked(file).contains(module);
        assert!(tree.files.iter().any(needed), "{place} no longer imports {module}: strike it from UPWARD");
    }
    for room in APART[0].iter().flat_map(|(_, rooms)| *rooms) {
        assert!(tree.files.iter().any(|file| file.module.join("::") == *room), "{room} is gone: strike it from APART");
    }
}

/// Clocks of machines are set, forward and back. What machines share is timed by clocks that only go on, which a loop of the
/// driver asks, and by the server's own; so no lease, delay or window follows a clock that is set.
#[test]
fn what_machines_share_asks_no_clock_that_can_be_set() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for folder in ["nats", "bridge", "client/shared"] {
        sources(&root.join(folder), &mut files);
    }
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let asks = ["SystemTime", "jiff", "now_utc", "now_local"].iter().find(|clock| text.contains(**clock));
        assert_eq!(asks, None, "{}", file.display());
    }
}

/// Arguments of a wrong type are told by name, whichever function takes them: `src/py/named.rs` says how.
#[test]
fn every_function_that_python_calls_names_its_arguments() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/py"), &mut files);
    let mut found = 0;
    for file in files {
        for line in fs::read_to_string(&file).unwrap().lines().map(str::trim_start) {
            if line.starts_with("#[pymethods") || line.starts_with("#[pyfunction") {
                found += 1;
                assert!(line.ends_with("(crate = \"crate::py::named\")]"), "{}: {line}", file.display());
            }
        }
    }
    assert!(found > 100, "the functions were not found");
}

/// What is wrong with the sources, beside others that stand there.
fn faults_of(sources: &[(&str, &str)]) -> Vec<String> {
    let mut tree = Tree::default();
    let around = [
        ("lib.rs", "pub mod error; pub mod client; pub mod dialect; pub mod session; mod py; pub use error::Error;"),
        ("dialect/mod.rs", "pub mod json; pub mod lorawan; pub mod thingsboard; pub use thingsboard::Topic as Place;"),
        ("py/mod.rs", "mod lorawan; mod thingsboard; mod value; use self::thingsboard::PyMqtt;"),
    ];
    for (name, text) in around.iter().chain(sources) {
        tree.add(name, text);
    }
    tree.files.iter().flat_map(|file| faults(&tree, file)).collect()
}

#[track_caller]
fn refused(name: &str, text: &str) {
    let faults = faults_of(&[(name, text)]);
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault.starts_with(name)), "{text}: {faults:?}");
}

#[track_caller]
fn accepted(name: &str, text: &str) {
    assert_eq!(faults_of(&[(name, text)]), [""; 0], "{text}");
}

#[test]
fn a_network_that_names_the_other_is_refused_in_any_spelling() {
    for text in [
        "use crate::dialect::thingsboard::Topic;",
        "use super::super::thingsboard::Topic;",
        "use super::super::{json::{self, Text}, thingsboard::{self as other, Topic}};",
        "use crate::{\n    dialect::{\n        json,\n        thingsboard,\n    },\n    error::Error,\n};",
        "fn of() -> crate::dialect::thingsboard::Topic { todo!() }",
        "fn of() { let topic = super::super::thingsboard::Topic::new(); }",
        "fn of() { assert!(matches!(topic, crate::dialect::thingsboard::Topic { .. })); }",
        "fn of() { Vec::<crate::dialect::thingsboard::Topic>::new(); }",
        "use crate::dialect; fn of(topic: dialect::thingsboard::Topic) {}",
        "use crate::dialect as words; fn of(topic: words::thingsboard::Topic) {}",
        "use crate as all; use all::dialect::thingsboard;",
        "use crate::dialect::Place;",
        "use crate::dialect::*;",
        "use super::super::*;",
        "mod tests { use super::super::super::thingsboard::Topic; }",
        "mod tests { use super::*; use crate::dialect::{lorawan::{v2}, thingsboard}; }",
        "pub(in crate::dialect::thingsboard) fn of() {}",
        "#[path = \"../thingsboard/topic.rs\"] mod topic;",
        "include!(\"../thingsboard/topic.rs\");",
    ] {
        refused("dialect/lorawan/topic.rs", text);
    }
    refused("dialect/thingsboard/topic.rs", "use crate::dialect::lorawan;");
    refused("dialect/lorawan/v3.rs", "use super::v2::Message;");
    refused("sandbox/v3/stack.rs", "use super::super::v2::Network;");
    refused("sandbox/v2/login.rs", "use crate::sandbox::v3::Rights;");
    refused("sandbox/chirpstack/login.rs", "use crate::sandbox::v2::Right;");
    refused("py/lorawan/client.rs", "use super::super::PyMqtt;");
    refused("py/lorawan/client.rs", "use crate::py::PyMqtt;");
    refused("py/manage/calls.rs", "use crate::py::{value, thingsboard::words};");
    refused("client/lorawan/mod.rs", "use crate::dialect::thingsboard::Topic;");
    refused("py/aio/flow.rs", "use crate::py::lorawan::callbacks::Served;");
    refused("py/lorawan/deliver.rs", "use crate::py::aio::Stream;");
    accepted("py/aio/flow.rs", "use crate::py::lorawan::subject::Subject;");
}

#[test]
fn an_edge_between_layers_is_refused_in_any_spelling() {
    refused("session/driver/link.rs", "use super::super::super::client::Client;");
    refused("session/driver.rs", "use crate::{error::Error, dialect::{json}};");
    refused("session/driver.rs", "fn of() { crate::py::value::of(); }");
    refused("dialect/json/mod.rs", "macro_rules! of { () => { $crate::session::Session } }");
    refused("newroom/mod.rs", "");
    refused("session/frame.rs", "use pyo3::prelude::*;");
    accepted("session/driver.rs", "use crate::dialect::mqtt::covers; use crate::{Error, error};");
    accepted("client/line.rs", "use super::super::session::Session; use ::session::other; use session::another;");
}

#[test]
fn comments_strings_and_names_of_other_things_are_no_code() {
    accepted(
        "dialect/lorawan/topic.rs",
        "//! As `crate::dialect::thingsboard`.\n/// See [`crate::dialect::thingsboard`] and pyo3.\n\
         /* use crate::dialect::thingsboard; /* nested: crate::py */ */\n\
         fn of<'a>(sandbox: &'a Sandbox) -> impl Sized + use<'a> { sandbox.thingsboard.import(\"pyo3: crate::py\"); \
         let thingsboard = r#\"use crate::dialect::thingsboard; \"#; thingsboard::<u8>(b'\\'') }\n\
         mod tests { use super::*; }",
    );
    accepted(
        "py/value.rs",
        "/// `import(\"thingslink.ttn\")`\nfn of() { py.import(\"json\"); log(\"thingslink.ttn\"); }",
    );
}

#[test]
fn an_import_of_our_own_python_is_refused() {
    for text in [
        "fn of() { py.import(\"thingslink.ttn\"); }",
        "fn of() { PyModule::import(\n    py,\n    \"thingslink\",\n); }",
        "fn of() { py.import(intern!(py, \"thingslink.ttn\")); }",
        "const FACE: &str = \"thingslink.ttn\"; fn of() { py.import(FACE); }",
        "fn of() { py.import(face::NAME); } mod face { pub static NAME: &str = \"thingslink.ttn\"; }",
        "fn of() { let name = \"thingslink.ttn\"; py.import(name); }",
        "fn of() { CELL.import::<PyType>(py, \"thingslink.ttn\", \"Class\"); }",
        "fn of() { py.run(c\"from thingslink.ttn import x\", None, None); }",
    ] {
        refused("py/value.rs", text);
    }
    accepted("py/proto/message.rs", "fn of() { py.import(\"thingslink._native\"); }");
}

#[test]
fn a_file_is_measured_without_its_tests() {
    let long = "fn line() {}\n".repeat(LINES);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}");
    accepted("ids.rs", &format!("{long}{tests}"));
    refused("ids.rs", &format!("{long}fn one_more() {{}}\n{tests}"));
}
