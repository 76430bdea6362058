//! TLS at which clients may show a certificate: which device it belongs to is decided at the login.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, ServerConfig};

use crate::error::{Error, Result};
use crate::net::verifies_possession;
use crate::sandbox::certificate::Certificate;

/// Takes any certificate whose key the client holds.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    verifies_possession!();
}

/// The sandbox's certificate, for a server that asks clients for theirs.
pub(super) fn accepting_clients(certificate: &Certificate) -> Result<Arc<ServerConfig>> {
    let fail = |error: rustls::Error| Error::Sandbox { reason: format!("cannot serve TLS: {error}") };
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(fail)?
        .with_client_cert_verifier(Arc::new(AnyClient { provider }))
        .with_single_cert(vec![certificate.der.clone()], certificate.key.clone_key())
        .map_err(fail)?;
    Ok(Arc::new(server))
}
