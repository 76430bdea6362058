//! Which server keeps which field of a device (V3 3.4, 3.5).

/// What of a device the Identity Server is asked for.
pub(super) const IDENTITY: [&str; 9] = [
    "name",
    "description",
    "attributes",
    "locations",
    "version_ids",
    "network_server_address",
    "application_server_address",
    "join_server_address",
    "last_seen_at",
];
/// What the Network Server is asked for, and what only with the right to read keys.
pub(super) const NETWORK: [&str; 12] = [
    "lorawan_version",
    "lorawan_phy_version",
    "frequency_plan_id",
    "supports_join",
    "supports_class_b",
    "supports_class_c",
    "mac_settings.resets_f_cnt",
    "mac_settings.supports_32_bit_f_cnt",
    "mac_settings.rx1_delay",
    "session.dev_addr",
    "session.last_f_cnt_up",
    "session.last_n_f_cnt_down",
];
pub(super) const NETWORK_KEYS: [&str; 1] = ["session.keys.f_nwk_s_int_key.key"];
/// The same of the Application Server.
pub(super) const APPLICATION: [&str; 3] = ["formatters", "session.dev_addr", "session.last_a_f_cnt_down"];
pub(super) const APPLICATION_KEYS: [&str; 1] = ["session.keys.app_s_key.key"];
/// The same of the Join Server: nothing but keys.
pub(super) const JOIN_KEYS: [&str; 2] = ["root_keys.app_key.key", "root_keys.nwk_key.key"];

/// One of the four servers, by what a program may set of a device there beside what V2 knows.
pub(super) fn is_of_identity(path: &str) -> bool {
    matches!(path, "name" | "version_ids")
}

pub(super) fn is_of_network(path: &str) -> bool {
    let of_network =
        ["lorawan_version", "lorawan_phy_version", "frequency_plan_id", "supports_class_b", "supports_class_c"];
    of_network.contains(&path) || path.starts_with("mac_settings.") || path == "version_ids"
}

pub(super) fn is_of_application(path: &str) -> bool {
    matches!(path, "formatters" | "version_ids")
}

pub(super) fn is_of_join(path: &str) -> bool {
    path.starts_with("root_keys.") || path == "resets_join_nonces"
}
