//! Generates Rust for the `.proto` files in `proto/`, with a compiler in Rust: no `protoc` is needed. For the extension
//! module the docstrings are taken out of its stubs: `stub!` in `src/py` names them.

use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use prost_types::FileDescriptorSet;

const PROTOS: [&str; 22] = [
    "chirpstack/application.proto",
    "chirpstack/common.proto",
    "chirpstack/device.proto",
    "chirpstack/device_profile.proto",
    "chirpstack/gateway.proto",
    "chirpstack/integration.proto",
    "chirpstack/internal.proto",
    "chirpstack/radio.proto",
    "chirpstack/tenant.proto",
    "discovery.proto",
    "handler.proto",
    "lorawan.proto",
    "google/rpc/status.proto",
    "v3/access.proto",
    "v3/application.proto",
    "v3/configuration.proto",
    "v3/end_device.proto",
    "v3/error.proto",
    "v3/event.proto",
    "v3/identifiers.proto",
    "v3/messages.proto",
    "v3/storage.proto",
];

const STUBS: &str = "python/thingslink/_native";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    // The clients' messages read their fields' names and types from these when they run.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    fs::write(out.join("field_numbers.txt"), field_numbers(&descriptors))?;
    if env::var_os("CARGO_FEATURE_PYTHON").is_some() {
        println!("cargo:rerun-if-changed={STUBS}");
        write_docstrings(&out.join("docstrings"))?;
    }
    tonic_prost_build::configure().bytes(".handler.DeviceList").compile_fds(descriptors)?;
    Ok(())
}

/// The numbers of the messages' fields, a line for each message, for those who need no more of the definitions.
fn field_numbers(descriptors: &FileDescriptorSet) -> String {
    let mut found = Vec::new();
    for file in &descriptors.file {
        found.extend(
            file.message_type.iter().map(|message| (format!("{}.{}", file.package(), message.name()), message)),
        );
    }
    let mut lines = Vec::new();
    while let Some((name, message)) = found.pop() {
        let fields: Vec<_> = message.field.iter().map(|field| format!("{}={}", field.name(), field.number())).collect();
        lines.push(format!("{name} {}", fields.join(" ")));
        found.extend(message.nested_type.iter().map(|nested| (format!("{name}.{}", nested.name()), nested)));
    }
    lines.join("\n")
}

/// A file for each docstring of the stubs, called `Class`, `Class.member` or `function`. The stubs are formatted: a
/// docstring begins in a line of its own, after the name that it belongs to.
fn write_docstrings(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let mut written = HashSet::new();
    for stub in fs::read_dir(STUBS)? {
        let stub = stub?.path();
        if stub.extension().is_none_or(|extension| extension != "pyi") {
            continue;
        }
        let text = fs::read_to_string(&stub)?;
        let (mut class, mut owner) = ("", String::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let statement = line.trim_start();
            let indent = &line[..line.len() - statement.len()];
            if let Some(name) = name_of(statement) {
                match indent.len() {
                    0 => {
                        class = if statement.starts_with("class ") { name } else { "" };
                        name.clone_into(&mut owner);
                    }
                    4 if !class.is_empty() => owner = format!("{class}.{name}"),
                    // An argument, in a line of its own.
                    _ => {}
                }
            }
            let (statement, is_raw) = statement.strip_prefix('r').map_or((statement, false), |rest| (rest, true));
            let Some(first) = statement.strip_prefix("\"\"\"") else { continue };
            let mut docstring = first.to_owned();
            while !docstring.ends_with("\"\"\"") {
                let next = lines.next().ok_or_else(|| format!("{}: {owner}: no end", stub.display()))?;
                docstring.push('\n');
                docstring.push_str(next.strip_prefix(indent).unwrap_or(next));
            }
            docstring.truncate(docstring.trim_end_matches("\"\"\"").trim_end().len());
            if docstring.contains('\\') && !is_raw {
                return Err(format!("{}: {owner}: a backslash, so r\"\"\"", stub.display()).into());
            }
            // Of overloads the first one's holds.
            if !owner.is_empty() && written.insert(owner.clone()) {
                fs::write(folder.join(&owner), docstring)?;
            }
        }
    }
    Ok(())
}

/// What a statement of a stub gives a name to.
fn name_of(statement: &str) -> Option<&str> {
    let mut words = ["class ", "def ", "async def "].into_iter();
    let rest = words.find_map(|word| statement.strip_prefix(word));
    let (rest, ends): (&str, &[char]) = rest.map_or((statement, &[':']), |rest| (rest, &['(', ':', '[']));
    let name = &rest[..rest.find(ends)?];
    name.chars().all(|letter| letter.is_alphanumeric() || letter == '_').then_some(name)
}
