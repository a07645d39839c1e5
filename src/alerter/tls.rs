//! TLS of alerters: what the configuration says, and what HTTP, SMTP and Kafka are built on.
//!
//! Roots: `ca_file`, else the system's certificates, else the built-in ones. A client's key and certificate are tried
//! together when the alerter is built, so that a wrong pair is a message then and not a failure later.

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The `tls` section of an alerter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub insecure_skip_verify: bool,
}

impl Tls {
    /// For what speaks TLS through rustls itself.
    pub fn client_config(&self) -> anyhow::Result<Arc<rustls::ClientConfig>> {
        let mut roots = rustls::RootCertStore::empty();
        let certificates = self.roots()?;
        if certificates.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots.add_parsable_certificates(certificates);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = if self.insecure_skip_verify {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            builder.with_root_certificates(roots)
        };
        Ok(Arc::new(match self.client_pair()? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .context("client certificate and key")?,
        }))
    }

    /// The same for HTTP.
    pub fn http_config(&self) -> anyhow::Result<ureq::tls::TlsConfig> {
        use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
        // ureq would panic on a pair that does not fit: it is tried here.
        self.client_config()?;
        let owned = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
        let roots = self.roots()?;
        let roots = if roots.is_empty() {
            RootCerts::WebPki
        } else {
            roots.iter().map(owned).collect::<Vec<_>>().into()
        };
        let client = match (&self.key_file, self.client_pair()?) {
            (Some(key_file), Some((chain, _))) => {
                let key = PrivateKey::from_pem(&read(key_file)?)
                    .with_context(|| format!("reading {}", key_file.display()))?;
                Some(ClientCert::new_with_certs(
                    &chain.iter().map(owned).collect::<Vec<_>>(),
                    key,
                ))
            }
            (_, _) => None,
        };
        Ok(TlsConfig::builder()
            .root_certs(roots)
            .client_cert(client)
            .disable_verification(self.insecure_skip_verify)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build())
    }

    /// Empty: the built-in ones.
    fn roots(&self) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let Some(path) = &self.ca_file else {
            return Ok(rustls_native_certs::load_native_certs().certs);
        };
        certificates(path)
    }

    fn client_pair(&self) -> anyhow::Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        match (&self.cert_file, &self.key_file) {
            (None, None) => Ok(None),
            (Some(cert_file), Some(key_file)) => {
                let key = PrivateKeyDer::from_pem_slice(&read(key_file)?)
                    .with_context(|| format!("{}: no private key in PEM", key_file.display()))?;
                Ok(Some((certificates(cert_file)?, key)))
            }
            (Some(_), None) => anyhow::bail!("tls.cert_file without tls.key_file"),
            (None, Some(_)) => anyhow::bail!("tls.key_file without tls.cert_file"),
        }
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let all = all.with_context(|| format!("{}: certificates in PEM", path.display()))?;
    anyhow::ensure!(!all.is_empty(), "{}: no certificate in PEM", path.display());
    Ok(all)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// `insecure_skip_verify`: whoever answers is believed; only that the handshake is one is still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &rustls::pki_types::ServerName<'_>,
        _ocsp_response: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed TLS connection means for its deliveries: it waits for somebody, but for a certificate that is not valid
/// yet, where more likely our clock is wrong and will be set.
pub(super) fn judge(error: &rustls::Error, context: &str) -> super::SendError {
    use rustls::{CertificateError, Error};
    let reason = format!("{context}: TLS: {error}");
    match error {
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            let reason = format!(
                "{reason}; is this host's clock right? it shows {}",
                jiff::Timestamp::now()
            );
            super::SendError::Retry { after: None, reason }
        }
        _ => super::SendError::Blocked { reason },
    }
}
