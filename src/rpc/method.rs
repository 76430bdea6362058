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

    /// What to look at where a server does not have it.
    pub(super) fn where_else(&self) -> &'static str {
        if self.service().starts_with("discovery.") {
            "is this the address of a handler? Discovery servers are at port 1900 as a rule"
        } else {
            "is this the address of a discovery server? Handlers are at port 1904 as a rule"
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

    /// Whether calling it twice is as good as once: it reads, replaces, or runs without storing anything.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        ["Get", "Set", "Dry"].iter().any(|start| self.name().starts_with(start))
    }

    /// Where it is called, such as `/handler.ApplicationManager/GetDevice`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}/{}", self.service(), self.0.name())
    }
}
