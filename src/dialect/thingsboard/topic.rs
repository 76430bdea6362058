//! Topics of the device and gateway API (TB 1.2, 1.5, 1.6, 2).

/// The topics by their names in the original.
#[expect(missing_docs, reason = "the names say it")]
pub mod names {
    pub const TELEMETRY: &str = "v1/devices/me/telemetry";
    pub const ATTRIBUTES: &str = "v1/devices/me/attributes";
    pub const ATTRIBUTES_REQUEST: &str = "v1/devices/me/attributes/request/";
    pub const ATTRIBUTES_RESPONSE: &str = "v1/devices/me/attributes/response/";
    pub const RPC_REQUEST: &str = "v1/devices/me/rpc/request/";
    pub const RPC_RESPONSE: &str = "v1/devices/me/rpc/response/";
    pub const CLAIM: &str = "v1/devices/me/claim";
    pub const PROVISION_REQUEST: &str = "/provision/request";
    pub const PROVISION_RESPONSE: &str = "/provision/response";
    pub const FIRMWARE_REQUEST: &str = "v2/fw/request/";
    pub const FIRMWARE_RESPONSE: &str = "v2/fw/response/";
    pub const FIRMWARE_ERROR: &str = "v2/fw/error";
    pub const SOFTWARE_REQUEST: &str = "v2/sw/request/";
    pub const SOFTWARE_RESPONSE: &str = "v2/sw/response/";
    pub const SOFTWARE_ERROR: &str = "v2/sw/error";
    pub const GATEWAY: &str = "v1/gateway/";
    pub const GATEWAY_CONNECT: &str = "v1/gateway/connect";
    pub const GATEWAY_DISCONNECT: &str = "v1/gateway/disconnect";
    pub const GATEWAY_TELEMETRY: &str = "v1/gateway/telemetry";
    pub const GATEWAY_ATTRIBUTES: &str = "v1/gateway/attributes";
    pub const GATEWAY_ATTRIBUTES_REQUEST: &str = "v1/gateway/attributes/request";
    pub const GATEWAY_ATTRIBUTES_RESPONSE: &str = "v1/gateway/attributes/response";
    pub const GATEWAY_RPC: &str = "v1/gateway/rpc";
    pub const GATEWAY_CLAIM: &str = "v1/gateway/claim";

    /// Whether a piece of a package is asked for here.
    #[must_use]
    pub fn is_package_request(topic: &str) -> bool {
        topic.starts_with(FIRMWARE_REQUEST) || topic.starts_with(SOFTWARE_REQUEST)
    }
}

/// What kind of package a device is sent over the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Package {
    /// Firmware.
    Firmware,
    /// Software.
    Software,
}

impl Package {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Firmware, Self::Software];

    /// What the names of its attributes and its topics begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Firmware => "fw",
            Self::Software => "sw",
        }
    }
}

/// A topic that the server publishes to, by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic<'t> {
    /// Shared attributes changed.
    Attributes,
    /// Answer to an attribute request, by its number.
    AttributesResponse(&'t str),
    /// A call from the server, by its number.
    RpcRequest(&'t str),
    /// Answer to a call to the server, by its number.
    RpcResponse(&'t str),
    /// A piece of a package: number of the request, number of the piece.
    Piece(Package, &'t str, &'t str),
    /// A request for a piece was refused. The server says so of software on the topic for firmware, too.
    PieceRefused,
    /// Shared attributes of a device behind the gateway changed.
    GatewayAttributes,
    /// Answer to an attribute request for such a device.
    GatewayAttributesResponse,
    /// A call for such a device.
    GatewayRpc,
    /// The server dropped such a device.
    GatewayDisconnect,
    /// Anything else.
    Other,
}

impl<'t> Topic<'t> {
    /// Read a topic.
    #[must_use]
    pub fn parse(topic: &'t str) -> Self {
        match topic {
            names::ATTRIBUTES => return Self::Attributes,
            names::FIRMWARE_ERROR | names::SOFTWARE_ERROR => return Self::PieceRefused,
            names::GATEWAY_ATTRIBUTES => return Self::GatewayAttributes,
            names::GATEWAY_ATTRIBUTES_RESPONSE => return Self::GatewayAttributesResponse,
            names::GATEWAY_RPC => return Self::GatewayRpc,
            names::GATEWAY_DISCONNECT => return Self::GatewayDisconnect,
            _ => {}
        }
        if let Some(id) = topic.strip_prefix(names::RPC_REQUEST) {
            Self::RpcRequest(id)
        } else if let Some(id) = topic.strip_prefix(names::RPC_RESPONSE) {
            Self::RpcResponse(id)
        } else if let Some(id) = topic.strip_prefix(names::ATTRIBUTES_RESPONSE) {
            Self::AttributesResponse(id)
        } else {
            [(Package::Firmware, names::FIRMWARE_RESPONSE), (Package::Software, names::SOFTWARE_RESPONSE)]
                .into_iter()
                .find_map(|(package, prefix)| {
                    let (request, piece) = topic.strip_prefix(prefix)?.split_once("/chunk/")?;
                    Some(Self::Piece(package, request, piece))
                })
                .unwrap_or(Self::Other)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read() {
        for (topic, expected) in [
            ("v1/devices/me/attributes", Topic::Attributes),
            ("v1/devices/me/attributes/response/7", Topic::AttributesResponse("7")),
            ("v1/devices/me/rpc/request/a b", Topic::RpcRequest("a b")),
            ("v1/devices/me/rpc/response/2", Topic::RpcResponse("2")),
            ("v2/fw/response/1/chunk/12", Topic::Piece(Package::Firmware, "1", "12")),
            ("v2/sw/response/1/chunk/12", Topic::Piece(Package::Software, "1", "12")),
            ("v2/fw/response/1", Topic::Other),
            ("v2/fw/error", Topic::PieceRefused),
            ("v2/sw/error", Topic::PieceRefused),
            ("v1/gateway/attributes", Topic::GatewayAttributes),
            ("v1/gateway/attributes/response", Topic::GatewayAttributesResponse),
            ("v1/gateway/rpc", Topic::GatewayRpc),
            ("v1/gateway/disconnect", Topic::GatewayDisconnect),
            ("v1/devices/me/telemetry", Topic::Other),
        ] {
            assert_eq!(Topic::parse(topic), expected, "{topic}");
        }
    }
}
