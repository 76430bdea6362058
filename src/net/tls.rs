//! rustls configuration for clients: one provider, named explicitly and never installed process-wide.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::identity::Identity;
use super::possession::verifies_possession;
use crate::endpoint::Trust;
use crate::error::{Error, Result};
use crate::sync::Mutex;

/// TLS of a client.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Its settings.
    pub config: Arc<ClientConfig>,
    /// What its user calls the certificates to trust, for the error that lacks them.
    pub argument: &'static str,
}

/// Client settings that trust what `trust` says.
///
/// # Errors
/// [`Error::Tls`] when there is no usable certificate to trust.
pub fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>> {
    client_config_for(trust, None, &[])
}

/// As [`client_config`], for clients that show a certificate of their own, and for connections that agree on one of these
/// protocols (ALPN).
///
/// # Errors
/// [`Error::Tls`] when a certificate or a key cannot be used.
pub fn client_config_for(trust: &Trust, identity: Option<&Identity>, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let verifier = match trust {
        Trust::System => system_verifier(&provider)?,
        Trust::Pem(pem) => given_verifier(pem, &provider)?,
        Trust::Anyone => Arc::new(Anyone { provider: provider.clone() }),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS settings", &error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.load()?;
            builder.with_client_auth_cert(chain, key).map_err(|error| unusable("the client's certificate", &error))?
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

fn unusable(what: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Tls { address: what.to_owned(), reason: reason.to_string() }
}

/// Verifier for those who asked for none: any certificate will do, as long as the peer holds its key.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    verifies_possession!();
}

/// What was read last, as long as somebody has it.
struct Recent<T>(Mutex<Option<(Weak<T>, Instant)>>);

/// The system's certificates.
static SYSTEM: Recent<WebPkiServerVerifier> = Recent(Mutex::new(None));
/// For how long what is new relies on them: the system may get others.
const FRESH: Duration = Duration::from_secs(60);

impl<T> Recent<T> {
    /// What is fresh, or what is read now.
    fn or_read(&self, fresh: Duration, read: impl FnOnce() -> Result<Arc<T>>) -> Result<Arc<T>> {
        let mut recent = self.0.lock();
        let known = recent.as_ref().filter(|(_, read)| read.elapsed() < fresh);
        if let Some(known) = known.and_then(|(known, _)| known.upgrade()) {
            return Ok(known);
        }
        let found = read()?;
        *recent = Some((Arc::downgrade(&found), Instant::now()));
        Ok(found)
    }
}

fn system_verifier(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    Ok(SYSTEM.or_read(FRESH, || read_system(provider))?)
}

fn read_system(provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let reason = found.errors.first().map_or_else(|| "none installed".to_owned(), ToString::to_string);
        return Err(unusable("the system's root certificates", &reason));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| unusable("the system's root certificates", &error))
}

fn given_verifier(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    const WHAT: &str = "ca_certs";
    let given = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| unusable(WHAT, &error))?;
    if given.is_empty() {
        return Err(unusable(WHAT, &"no PEM certificate in it (expected -----BEGIN CERTIFICATE-----)"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &given {
        roots.add(certificate.clone()).map_err(|error| unusable(WHAT, &error))?;
    }
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| unusable(WHAT, &error))?;
    Ok(Arc::new(GivenCertificates { provider: provider.clone(), chain, given }))
}

/// Verifier that also accepts a self-signed CA certificate as its own server certificate, if it was given as trusted.
///
/// The Things Network's handlers present such a certificate; webpki refuses it by policy (`CaUsedAsEndEntity`), OpenSSL
/// accepts it. By the time webpki says so it has checked the validity period; identity is byte equality with a given
/// certificate, and the name is checked here.
#[derive(Debug)]
struct GivenCertificates {
    provider: Arc<CryptoProvider>,
    chain: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for GivenCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        match self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(error) if is_ca_as_end_entity(&error) && self.given.contains(end_entity) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    verifies_possession!();
}

/// What is wrong with a handshake, in plain words; `argument` is what the user calls the certificates to trust.
#[must_use]
pub fn reason(error: &io::Error, host: &str, argument: &str) -> String {
    let untrusted = || format!("{UNTRUSTED}: {argument}");
    let Some(rustls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the server hangs up over the handshake: does it speak TLS at this port?".to_owned()
            }
            _ => error.to_string(),
        };
    };
    match rustls {
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS at this port: give its port for TLS, or connect without TLS".to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired: it is to be renewed there, unless this machine's clock is wrong"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "the server's certificate is not valid yet".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the server's certificate is not for the name {host:?}: connect by a name that it is for"),
        // The others are what a trusted certificate with the same name as the issuer's gives.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => untrusted(),
        other if is_ca_as_end_entity(other) => untrusted(),
        other => other.to_string(),
    }
}

const UNTRUSTED: &str = "the server's certificate is neither a trusted one nor issued by one (unknown issuer): give it, or \
                         its issuer's, as the certificate to trust";

/// rustls has no public variant for this error of webpki's; its text is covered by the TLS tests.
fn is_ca_as_end_entity(error: &rustls::Error) -> bool {
    matches!(
        error,
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) if format!("{other:?}").contains("CaUsedAsEndEntity")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused_with_a_reason() {
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = client_config(&Trust::Pem(pem.into())).unwrap_err().to_string();
            assert!(error.contains("ca_certs"), "{error}");
        }
    }

    #[test]
    fn what_somebody_has_is_not_read_again_until_it_is_old() {
        let recent = Recent(Mutex::new(None));
        let get = |fresh, number| recent.or_read(fresh, || Ok(Arc::new(number))).unwrap();
        let first = get(FRESH, 1);
        assert_eq!(*get(FRESH, 2), 1, "the same");
        let second = get(Duration::ZERO, 3);
        assert_eq!((*first, *second, *get(FRESH, 4)), (1, 3, 3), "the one was old");
        drop(second);
        assert_eq!(*get(FRESH, 5), 5, "nobody has it any more");
        let failed = recent.or_read(Duration::ZERO, || Err(unusable("them", &"none installed")));
        assert!(failed.unwrap_err().to_string().contains("none installed"));
        assert_eq!(*get(FRESH, 6), 6);
    }
}
