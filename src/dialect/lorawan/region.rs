//! What the cluster of a hosted network stands for: where its Identity Server is, and on which frequencies it is heard.

use super::hosted::is_hosted;

/// The cluster that alone has the Identity Server (V3 1.1).
const IDENTITY: &str = "eu1";

/// The host of the Identity Server that belongs to the servers on this host.
#[must_use]
pub fn identity_host(host: &str) -> String {
    parts(host).map_or_else(|| host.to_owned(), |(start, _, domain)| format!("{start}{IDENTITY}{domain}"))
}

/// The frequency plan that the community uses in the cluster on this host (V3 4.5); none where there is no such custom.
#[must_use]
pub fn frequency_plan_id(host: &str) -> Option<&'static str> {
    match parts(host)?.1.to_ascii_lowercase().as_str() {
        "eu1" | "eu2" => Some("EU_863_870_TTN"),
        "nam1" => Some("US_902_928_FSB_2"),
        "au1" => Some("AU_915_928_FSB_2"),
        _ => None,
    }
}

/// What stands before the cluster's name in a hosted host, the name, and what stands after it.
fn parts(host: &str) -> Option<(&str, &str, &str)> {
    if !is_hosted(host) {
        return None;
    }
    // Before ".cloud.thethings.network" or ".cloud.thethings.industries".
    let domain = host.to_ascii_lowercase().rfind(".cloud.")?;
    let start = host[..domain].rfind('.').map_or(0, |dot| dot + 1);
    Some((&host[..start], &host[start..domain], &host[domain..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_tells_identity_server_and_frequencies() {
        for (host, identity, plan) in [
            ("nam1.cloud.thethings.network", "eu1.cloud.thethings.network", Some("US_902_928_FSB_2")),
            ("acme.au1.cloud.thethings.industries", "acme.eu1.cloud.thethings.industries", Some("AU_915_928_FSB_2")),
            ("acme.as1.cloud.thethings.industries", "acme.eu1.cloud.thethings.industries", None),
            ("EU1.cloud.thethings.network", "eu1.cloud.thethings.network", Some("EU_863_870_TTN")),
            ("stack.example", "stack.example", None),
            ("eu1.stack.example", "eu1.stack.example", None),
        ] {
            assert_eq!((identity_host(host).as_str(), frequency_plan_id(host)), (identity, plan), "{host}");
        }
    }
}
