//! The certificate that the sandbox serves TLS with.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Error, Result};

fn fail(error: &dyn std::fmt::Display) -> Error {
    Error::Sandbox { reason: format!("cannot make a certificate: {error}") }
}

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
    /// What it was made with: it signs those of clients, too.
    params: CertificateParams,
}

/// A certificate for a client, and its key.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    pub(super) pem: String,
    pub(super) key_pem: String,
    pub(super) der: Vec<u8>,
}

impl Certificate {
    /// Sign what a client is to show: of this name, from the epoch plus so long until the epoch plus so long.
    pub(super) fn sign(&self, name: &str, from: Duration, until: Duration) -> Result<ClientCertificate> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(|error| fail(&error))?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let epoch = date_time_ymd(1970, 1, 1);
        (params.not_before, params.not_after) = (epoch + from, epoch + until);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let own = KeyPair::try_from(self.key.secret_der()).map_err(|error| fail(&error))?;
        let issuer = Issuer::from_params(&self.params, own);
        let key = KeyPair::generate().map_err(|error| fail(&error))?;
        let certificate = params.signed_by(&key, &issuer).map_err(|error| fail(&error))?;
        let (pem, der) = (certificate.pem(), certificate.der().to_vec());
        Ok(ClientCertificate { pem, key_pem: key.serialize_pem(), der })
    }

    /// Make one for this machine, and for the name or address that it listens on.
    pub(super) fn new(host: &str) -> Result<Self> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !names.iter().any(|name| name == host) {
            names.push(host.to_owned());
        }
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
        Ok(Self { pem: certificate.pem(), server: Arc::new(server), der, key, params })
    }
}
