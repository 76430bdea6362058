//! The methods of the services, read from their definitions.

use prost_reflect::{MessageDescriptor, MethodDescriptor};

use super::message::pool;

/// One method of a service.
#[derive(Clone, Debug)]
pub struct Method(MethodDescriptor);

impl Method {
    /// A service's method, such as `handler.ApplicationManager` and `GetDevice`; `None` if there is none of that name.
    #[must_use]
    pub fn find(service: &str, name: &str) -> Option<Self> {
        pool().get_service_by_name(service)?.methods().find(|method| method.name() == name).map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The full name of its service.
    #[must_use]
    pub fn service(&self) -> String {
        self.0.parent_service().full_name().to_owned()
    }

    /// Whether it is one of The Things Stack V3.
    pub(super) fn is_of_the_stack(&self) -> bool {
        self.service().starts_with("ttn.lorawan.v3.")
    }

    /// Whether it is one of `ChirpStack` 4.
    fn is_of_chirpstack(&self) -> bool {
        self.service().starts_with("api.")
    }

    /// Where servers that may have it are, as a rule.
    pub(super) fn ports(&self) -> &'static str {
        if self.is_of_the_stack() {
            "servers of The Things Stack V3 are at port 8884 with TLS and at port 1884 without, as a rule"
        } else if self.is_of_chirpstack() {
            "the API of ChirpStack is at port 8080 as a rule, where its web interface is, and has no TLS of its own"
        } else {
            "discovery servers are at port 1900 as a rule, handlers at port 1904"
        }
    }

    /// What to look at where a server does not have it.
    pub(super) fn where_else(&self) -> &'static str {
        if self.is_of_the_stack() {
            "is it a server of The Things Stack V3, and of the same cluster? The Identity Server of hosted networks is in \
             eu1 alone"
        } else if self.is_of_chirpstack() {
            "is it the API of a ChirpStack 4, at port 8080 as a rule?"
        } else if self.service().starts_with("discovery.") {
            "is this the address of a handler? Discovery servers are at port 1900 as a rule; for The Things Stack V3 give \
             cluster=, and for ChirpStack grpc_address="
        } else {
            "is this the address of a discovery server? Handlers are at port 1904 as a rule; The Things Stack V3 and \
             ChirpStack are known by their keys, or by network="
        }
    }

    /// What it takes.
    #[must_use]
    pub fn input(&self) -> MessageDescriptor {
        self.0.input()
    }

    /// What it gives.
    #[must_use]
    pub fn output(&self) -> MessageDescriptor {
        self.0.output()
    }

    /// Whether it gives many messages, one after the other.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.0.is_server_streaming()
    }

    /// Whether calling it twice is as good as once: it reads, replaces, or runs without storing anything.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        const REPLACING: [&str; 3] = ["Set", "Update", "DownlinkQueueReplace"];
        self.is_reading() || REPLACING.iter().any(|start| self.name().starts_with(start))
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        const READING: [&str; 7] = ["Get", "Dry", "List", "DownlinkQueueList", "Encode", "Decode", "Generate"];
        READING.iter().any(|start| self.name().starts_with(start))
    }

    /// Where it is called, such as `/handler.ApplicationManager/GetDevice`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}/{}", self.service(), self.0.name())
    }
}
