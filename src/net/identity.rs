//! A client's own certificate and key.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Error, Result};
use crate::ids::AccessKey;

/// PEM text of a certificate, with its chain, and of its key; both may be the same text.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Certificate and chain.
    pub certificate: Vec<u8>,
    /// Key; kept from sight like a password.
    pub key: AccessKey,
    /// What the key is encrypted with.
    pub password: Option<AccessKey>,
}

const KEY: &str = "the client's key";

fn unusable(what: &str, reason: impl std::fmt::Display) -> Error {
    Error::Tls { address: what.to_owned(), reason: reason.to_string() }
}

impl Identity {
    /// Certificate chain and key, the key decrypted.
    pub(super) fn load(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        const CERTIFICATE: &str = "the client's certificate";
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| unusable(CERTIFICATE, error))?;
        if chain.is_empty() {
            return Err(unusable(CERTIFICATE, "no PEM certificate in it (expected -----BEGIN CERTIFICATE-----)"));
        }
        Ok((chain, self.private_key()?))
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        let text = self.key.reveal();
        if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            return self.decrypt(text);
        }
        if text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(unusable(
                KEY,
                "it is encrypted in OpenSSL's old form: convert it once with 'openssl pkcs8 -topk8 -in old.pem -out new.pem'",
            ));
        }
        PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| unusable(KEY, "no PEM private key in it (expected -----BEGIN PRIVATE KEY----- or similar)"))
    }

    fn decrypt(&self, text: &str) -> Result<PrivateKeyDer<'static>> {
        const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
        const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
        let password = self.password.as_ref().ok_or_else(|| unusable(KEY, "it is encrypted: give its password"))?;
        // The file may hold the certificate, too.
        let pem = text
            .find(BEGIN)
            .and_then(|begin| Some(&text[begin..text[begin..].find(END)? + begin + END.len()]))
            .ok_or_else(|| unusable(KEY, "the PEM text has no end"))?;
        let (_, document) =
            pkcs8::SecretDocument::from_pem(pem).map_err(|_| unusable(KEY, "the PEM text is damaged"))?;
        let decrypted = pkcs8::EncryptedPrivateKeyInfo::try_from(document.as_bytes())
            .and_then(|encrypted| encrypted.decrypt(password.reveal()))
            .map_err(|_| {
                unusable(KEY, "it cannot be decrypted: the password is wrong, or the cipher is none of PBES2's")
            })?;
        Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(decrypted.as_bytes().to_vec())))
    }
}
