//! Certificates of applications for the broker (CS 2.2), signed by the one that the sandbox serves TLS with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::error::{Error, Result};
use crate::sandbox::certificate::{Certificate, ClientCertificate};
use crate::sync::Mutex;

/// How long a certificate holds.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// What signs them, and those that it has signed.
#[derive(Debug)]
pub(super) struct Authority {
    certificate: Certificate,
    /// The application of each, by its bytes.
    signed: Mutex<HashMap<Vec<u8>, String>>,
}

impl Authority {
    pub(super) fn new(host: &str) -> Result<Self> {
        Ok(Self { certificate: Certificate::new(host)?, signed: Mutex::default() })
    }

    /// The PEM text that clients must trust.
    pub(super) fn pem(&self) -> &str {
        &self.certificate.pem
    }

    /// Sign a certificate for an application; gives also until when it holds.
    pub(super) fn sign(&self, application_id: &str) -> Result<(ClientCertificate, prost_types::Timestamp)> {
        let now = SystemTime::now();
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let signed = self.certificate.sign(application_id, since_epoch, since_epoch + YEAR)?;
        self.signed.lock().insert(signed.der.clone(), application_id.to_owned());
        Ok((signed, (now + YEAR).into()))
    }

    /// The application of a certificate.
    pub(super) fn application(&self, shown: &[u8]) -> Option<String> {
        self.signed.lock().get(shown).cloned()
    }

    /// What a listener serves TLS with: it asks for a certificate of its own, and may insist on one.
    pub(super) fn tls(&self, insists: bool) -> Result<Arc<ServerConfig>> {
        let fail = |error: &dyn std::fmt::Display| Error::Sandbox { reason: format!("cannot serve TLS: {error}") };
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der.clone()).map_err(|error| fail(&error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = if insists { verifier } else { verifier.allow_unauthenticated() };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fail(&error))?
            .with_client_cert_verifier(verifier.build().map_err(|error| fail(&error))?)
            .with_single_cert(vec![self.certificate.der.clone()], self.certificate.key.clone_key())
            .map_err(|error| fail(&error))?;
        Ok(Arc::new(config))
    }
}
