//! Device events (V2 1.7–1.10) by name.

/// What a device event tells, which decides the shape of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `activations`, `activations/errors`: a join, or a failed one.
    Activation,
    /// `down/scheduled`, `down/sent`, `down/acks`, `down/errors`: the way of a downlink.
    Downlink,
    /// `create`, `update`, `delete`: the device's registration.
    Registration,
    /// `up/errors`: an uplink that could not be decoded.
    UplinkError,
    /// A name that this library does not know.
    Other,
}

impl EventKind {
    /// Every event name that the network emits.
    pub const NAMES: [&'static str; 10] = [
        "activations",
        "activations/errors",
        "create",
        "update",
        "delete",
        "down/scheduled",
        "down/sent",
        "down/acks",
        "down/errors",
        "up/errors",
    ];

    /// The kind of the event of that name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "activations" | "activations/errors" => Self::Activation,
            "down/scheduled" | "down/sent" | "down/acks" | "down/errors" => Self::Downlink,
            "create" | "update" | "delete" => Self::Registration,
            "up/errors" => Self::UplinkError,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_kind() {
        assert!(EventKind::NAMES.iter().all(|name| EventKind::of(name) != EventKind::Other));
        assert_eq!(EventKind::of("downlink/scheduled"), EventKind::Other);
    }
}
