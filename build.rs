//! Generates Rust for the `.proto` files in `proto/`, with a compiler in Rust: no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;
use prost_types::FileDescriptorSet;

const PROTOS: [&str; 19] = [
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
    "v3/application.proto",
    "v3/end_device.proto",
    "v3/error.proto",
    "v3/identifiers.proto",
    "v3/messages.proto",
    "v3/storage.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    // The clients' messages read their fields' names and types from these when they run.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    fs::write(out.join("field_numbers.txt"), field_numbers(&descriptors))?;
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
