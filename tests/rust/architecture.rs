//! Who may use whom: reads `src/` and fails on any edge that `docs/dev/architecture.md` does not have.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may name behind `crate::`, beside itself.
const LEAVES: [&str; 6] = ["error", "ids", "endpoint", "backoff", "net", "sync"];
const MAY_USE: [(&str, &[&str]); 12] = [
    ("sync", &[]),
    ("error", &[]),
    ("ids", &[]),
    ("endpoint", &[]),
    ("backoff", &[]),
    ("net", &[]),
    ("dialect", &[]),
    ("rpc", &[]),
    ("session", &[]),
    ("client", &["session", "dialect", "rpc"]),
    ("sandbox", &["dialect", "rpc"]),
    ("py", &["session", "dialect", "rpc", "client", "sandbox"]),
];

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

/// The modules that a source names behind `crate::`, alone or in braces.
fn used(text: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group.split('}').next().unwrap_or("").split(',').map(|part| word(part.trim()))),
            None => found.push(word(rest)),
        }
    }
    found.into_iter().filter(|name| name.chars().next().is_some_and(char::is_lowercase)).collect()
}

/// Whether a source names no other dialect than MQTT's own rules.
fn only_mqtt(text: &str) -> bool {
    text.match_indices("crate::dialect").all(|(at, edge)| text[at + edge.len()..].starts_with("::mqtt"))
}

#[test]
fn modules_use_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if module == "lib" {
            continue;
        }
        let (_, allowed) =
            MAY_USE.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module}: no rule"));
        let text = fs::read_to_string(&file).unwrap();
        for name in used(&text) {
            let fine = name == module || LEAVES.contains(&name.as_str()) || allowed.contains(&name.as_str());
            // A session knows no network, but the protocol's own rules.
            let fine = fine || module == "session" && name == "dialect" && only_mqtt(&text);
            assert!(fine, "{} uses crate::{name}", inside.display());
        }
        let names_python = text.contains("pyo3") || text.contains("pythonize");
        assert!(module == "py" || !names_python, "{} names Python", inside.display());
    }
}
