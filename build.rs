//! Generates Rust for the `.proto` files in `proto/`, with a compiler in Rust: no `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const PROTOS: [&str; 10] = [
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
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".handler.DeviceList").compile_fds(descriptors)?;
    Ok(())
}
