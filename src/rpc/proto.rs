//! The generated code, and the descriptions of all messages.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]

/// `discovery.proto`.
pub mod discovery {
    tonic::include_proto!("discovery");
}

/// `handler.proto`.
pub mod handler {
    tonic::include_proto!("handler");
}

/// `lorawan.proto`.
pub mod lorawan {
    tonic::include_proto!("lorawan");
}

/// `v3/`: The Things Stack V3.
pub mod v3 {
    tonic::include_proto!("ttn.lorawan.v3");
}

/// `chirpstack/`: ChirpStack 4. The packages are beside each other, where the generated code looks for them.
pub mod chirpstack {
    /// What is called over gRPC.
    pub mod api {
        tonic::include_proto!("api");
    }
    /// What all others use.
    pub mod common {
        tonic::include_proto!("common");
    }
    /// How frames are received and sent.
    pub mod gw {
        tonic::include_proto!("gw");
    }
    /// What goes over a broker in place of JSON.
    pub mod integration {
        tonic::include_proto!("integration");
    }
}

/// `google/rpc/status.proto`.
pub mod status {
    tonic::include_proto!("google.rpc");
}

/// The compiled definitions.
pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// A line for each message: its full name, and `name=number` for each field. What asks for no more leaves the definitions
/// alone, which take megabytes once they are read.
pub(super) const FIELD_NUMBERS: &str = include_str!(concat!(env!("OUT_DIR"), "/field_numbers.txt"));
