//! The hosted clusters of The Things Stack V3 (V3 1.1).

use crate::error::{Error, Result};

const COMMUNITY: &str = ".cloud.thethings.network";
const CLOUD: &str = ".cloud.thethings.industries";
/// Clusters of the community's network, and of the paid one.
const COMMUNITY_CLUSTERS: [&str; 3] = ["eu1", "nam1", "au1"];
const CLOUD_CLUSTERS: [&str; 5] = ["eu1", "eu2", "nam1", "au1", "as1"];

fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether this is a host of a hosted stack.
#[must_use]
pub fn is_hosted(host: &str) -> bool {
    let host = normal(host);
    host.ends_with(COMMUNITY) || host.ends_with(CLOUD)
}

/// The tenant that a hosted host name stands for.
#[must_use]
pub fn tenant(host: &str) -> Option<String> {
    let host = normal(host);
    if host.strip_suffix(COMMUNITY).is_some_and(|cluster| !cluster.contains('.')) {
        return Some("ttn".to_owned());
    }
    let (tenant, cluster) = host.strip_suffix(CLOUD)?.split_once('.')?;
    (!cluster.contains('.')).then(|| tenant.to_owned())
}

/// The host of a cluster for an application, which may name its tenant: the name of a hosted cluster, or a host itself.
///
/// # Errors
/// [`Error::Invalid`] for what is neither.
pub fn host(cluster: &str, app_id: &str) -> Result<String> {
    let app_tenant = app_id.split_once('@').map(|(_, tenant)| tenant);
    if cluster.contains(|letter: char| "/@?#".contains(letter) || letter.is_whitespace() || letter.is_control()) {
        // Both halves of a cluster have schemes of their own.
        let expected = "a name such as \"eu1\", or a host name without a scheme, such as \"stack.example.com\"";
        // Before the last of these may stand what nobody else is to see.
        let shown = cluster.rsplit_once('@').map_or_else(|| cluster.to_owned(), |(_, host)| format!("***@{host}"));
        return Err(Error::invalid("cluster", shown, expected));
    }
    let name = cluster.split_once(':').map_or(cluster, |(name, _)| name);
    if name != cluster && CLOUD_CLUSTERS.contains(&name) {
        return Err(Error::invalid(
            "cluster",
            cluster,
            "the cluster's name without a port: hosted ones have the usual ports",
        ));
    }
    if normal(name).strip_suffix(CLOUD).is_some_and(|cluster| !cluster.contains('.')) {
        // There the host says the tenant, to those that are called over gRPC.
        let Some(tenant) = app_tenant else {
            let expected = "the tenant before the host's name, \"tenant.eu1…\", or app_id as \"app@tenant\"";
            return Err(Error::invalid("cluster", cluster, expected));
        };
        return Ok(format!("{tenant}.{cluster}"));
    }
    if cluster.contains(['.', ':']) || cluster == "localhost" {
        return Ok(cluster.to_owned());
    }
    match app_tenant {
        None | Some("ttn") if COMMUNITY_CLUSTERS.contains(&cluster) => Ok(format!("{cluster}{COMMUNITY}")),
        Some(tenant) if tenant != "ttn" && CLOUD_CLUSTERS.contains(&cluster) => {
            Ok(format!("{tenant}.{cluster}{CLOUD}"))
        }
        None if CLOUD_CLUSTERS.contains(&cluster) => {
            let expected =
                "\"eu1\", \"nam1\" or \"au1\" for an application without a tenant; give app_id as \"app@tenant\"";
            Err(Error::invalid("cluster", cluster, expected))
        }
        _ => {
            let expected = "\"eu1\", \"nam1\" or \"au1\", with a tenant also \"eu2\" or \"as1\", or a host name";
            Err(Error::invalid("cluster", cluster, expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        for (name, is, of) in [
            ("eu1.cloud.thethings.network", true, Some("ttn")),
            ("NAM1.cloud.TheThings.network.", true, Some("ttn")),
            ("acme.eu1.cloud.thethings.industries", true, Some("acme")),
            ("eu1.cloud.thethings.industries", true, None),
            ("eu.thethings.network", false, None),
            ("stack.example", false, None),
            ("cloud.thethings.network", false, None),
        ] {
            assert_eq!((is_hosted(name), tenant(name).as_deref()), (is, of), "{name}");
        }
    }

    #[test]
    fn a_cluster_is_a_host() {
        for (cluster, app, expected) in [
            ("eu1", "app", "eu1.cloud.thethings.network"),
            ("au1", "app@ttn", "au1.cloud.thethings.network"),
            ("eu1", "app@acme", "acme.eu1.cloud.thethings.industries"),
            ("as1", "app@acme", "acme.as1.cloud.thethings.industries"),
            ("stack.example:31883", "app", "stack.example:31883"),
            ("localhost", "app", "localhost"),
            ("stack:8884", "app", "stack:8884"),
            ("::1", "app", "::1"),
            ("eu1.cloud.thethings.industries", "app@acme", "acme.eu1.cloud.thethings.industries"),
            ("acme.eu1.cloud.thethings.industries", "app", "acme.eu1.cloud.thethings.industries"),
        ] {
            assert_eq!(host(cluster, app).unwrap(), expected);
        }
        for (cluster, app) in [("eu2", "app"), ("eu", "app"), ("", "app"), ("eu9", "app@acme"), ("eu2", "app@ttn")] {
            assert!(host(cluster, app).is_err(), "{cluster} {app}");
        }
        for (cluster, expected) in [
            ("https://eu1.cloud.thethings.network", "without a scheme"),
            ("mqtts://stack.example", "without a scheme"),
            ("eu1.cloud.thethings.network/api", "without a scheme"),
            (" eu1", "without a scheme"),
            ("eu1\n", "without a scheme"),
            ("eu1:8884", "without a port"),
            ("eu1.cloud.thethings.industries", "app@tenant"),
            ("NAM1.cloud.thethings.industries.", "app@tenant"),
        ] {
            let error = host(cluster, "app").unwrap_err().to_string();
            assert!(error.contains(expected) && error.starts_with("cluster"), "{error}");
        }
        assert!(!host("https://me:secret@stack.example", "app").unwrap_err().to_string().contains("secret"));
    }
}
