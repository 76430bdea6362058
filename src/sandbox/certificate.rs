//! The certificate that the sandbox serves TLS with.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Error, Result};

/// A certificate of the form that The Things Network's handlers had: self-signed, CA:TRUE, P-256, for server and client.
#[derive(Debug)]
pub(super) struct Certificate {
    /// For clients to trust.
    pub(super) pem: String,
    /// For the listeners.
    pub(super) server: Arc<ServerConfig>,
    /// For listeners that want settings of their own.
    pub(super) der: CertificateDer<'static>,
    /// Its key.
    pub(super) key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// Make one for this machine, and for the name or address that it listens on.
    pub(super) fn new(host: &str) -> Result<Self> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !names.iter().any(|name| name == host) {
            names.push(host.to_owned());
        }
        let fail =
            |error: &dyn std::fmt::Display| Error::Sandbox { reason: format!("cannot make a certificate: {error}") };
        let mut params = CertificateParams::new(names).map_err(|error| fail(&error))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::OrganizationName, "thingslink sandbox");
        let key = KeyPair::generate().map_err(|error| fail(&error))?;
        let certificate = params.self_signed(&key).map_err(|error| fail(&error))?;
        let der = certificate.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| fail(&error))?
            .with_no_client_auth()
            .with_single_cert(vec![der.clone()], key.clone_key())
            .map_err(|error| fail(&error))?;
        Ok(Self { pem: certificate.pem(), server: Arc::new(server), der, key })
    }
}
