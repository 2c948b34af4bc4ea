//! TLS to one server that is known by its certificate: the leaf in the node's own file, byte for byte.
//!
//! No authority, name or date is asked: the file is what the operator trusts, and on the node it is the very one that
//! pveproxy serves. The handshake's signature is checked as ever, so the certificate's key is what answers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};

use super::watched::{Content, Watched};
use super::wire::Stream;
use crate::product::Product;

/// A chain of a few certificates is near 8 KiB.
const MOST: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read the certificate to pin, {path}: {source}; name the node's own in [pve] certificate, and let this account read it (group www-data); of another product, a copy (`provost doctor` says how)", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} begins with no certificate in PEM: {why}", path = path.display())]
    Malformed { path: PathBuf, why: String },
    #[error(
        "{address} shows another certificate than {path} holds, and was told nothing: SHA-256 there {presented}, in the file {pinned}; \
         {}; if it was just renewed, reload {}", own(*product), product.facts().proxy, path = path.display()
    )]
    Mismatch { product: Product, path: PathBuf, address: String, pinned: String, presented: String },
}

/// What to do where the file is not of the certificate that the product shows.
fn own(product: Product) -> &'static str {
    match product {
        Product::Pve => {
            "if the node has a certificate of its own, name it in [pve] certificate (/etc/pve/local/pveproxy-ssl.pem)"
        }
        _ => "if the file is a copy, make it anew (`provost doctor` says how)",
    }
}

/// What was loaded of one version of the file.
struct Pinned {
    fingerprint: String,
    config: Arc<ClientConfig>,
}

/// The file whose first certificate is pinned.
pub struct PinFile {
    /// Who shows it.
    product: Product,
    path: PathBuf,
    provider: Arc<CryptoProvider>,
    current: Mutex<Watched<Arc<Pinned>>>,
}

/// Why there is no TLS connection.
pub enum TlsFailure {
    Certificate(CertificateError),
    /// The server's or the network's doing.
    Transport(std::io::Error),
}

impl PinFile {
    pub fn new(product: Product, path: impl Into<PathBuf>) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Arc::new(Self { product, path: path.into(), provider, current: Mutex::default() })
    }

    /// A handshake with the certificate that is in the file now. `connect` makes the connection: twice, when the first one
    /// showed a certificate that the file has only just been given.
    pub async fn handshake<F: Future<Output = std::io::Result<Stream>>>(
        self: &Arc<Self>,
        name: &ServerName<'static>,
        address: &str,
        connect: impl Fn() -> F,
    ) -> Result<TlsStream<Stream>, TlsFailure> {
        let mut pinned = self.pinned(false).await.map_err(TlsFailure::Certificate)?;
        loop {
            let stream = connect().await.map_err(TlsFailure::Transport)?;
            let connector = tokio_rustls::TlsConnector::from(pinned.config.clone());
            let error = match connector.connect(name.clone(), stream).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let Some(Unpinned { presented }) = unpinned(&error) else {
                return Err(TlsFailure::Transport(error));
            };
            let now = self.pinned(true).await.map_err(TlsFailure::Certificate)?;
            if now.fingerprint == pinned.fingerprint || now.fingerprint != *presented {
                return Err(TlsFailure::Certificate(CertificateError::Mismatch {
                    product: self.product,
                    path: self.path.clone(),
                    address: address.to_owned(),
                    pinned: now.fingerprint.clone(),
                    presented: presented.clone(),
                }));
            }
            pinned = now;
        }
    }

    /// The file is on pmxcfs, which can hang: it is looked at on a thread that may.
    async fn pinned(self: &Arc<Self>, look: bool) -> Result<Arc<Pinned>, CertificateError> {
        fn lock(of: &PinFile) -> std::sync::MutexGuard<'_, Watched<Arc<Pinned>>> {
            of.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        }
        // A look under way on a thread that hangs holds the lock: waiting for it is the thread's part too.
        let known = self.current.try_lock().ok().and_then(|current| current.fresh());
        if let Some(known) = known.filter(|_| !look) {
            return Ok(known);
        }
        let this = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let read = |source| CertificateError::Read { path: this.path.clone(), source };
            lock(&this).look(&this.path, MOST, read, |content| this.pin(&content))
        });
        looked.await.unwrap_or_else(|died| {
            Err(CertificateError::Read { path: self.path.clone(), source: std::io::Error::other(died) })
        })
    }

    fn pin(&self, content: &Content) -> Result<Arc<Pinned>, CertificateError> {
        let leaf = first_certificate(&self.path, &content.bytes)?;
        let fingerprint = fingerprint(&leaf);
        let verifier = Pin { leaf, schemes: self.provider.signature_verification_algorithms };
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| CertificateError::Malformed { path: self.path.clone(), why: error.to_string() })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // pveproxy resumes no session.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(Pinned { fingerprint, config: Arc::new(config) }))
    }
}

fn first_certificate(path: &Path, pem: &[u8]) -> Result<CertificateDer<'static>, CertificateError> {
    CertificateDer::from_pem_slice(pem)
        .map_err(|error| CertificateError::Malformed { path: path.to_owned(), why: error.to_string() })
}

/// As `openssl x509 -fingerprint -sha256` and PVE's own web page write it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// The server showed another certificate.
#[derive(Debug, thiserror::Error)]
#[error("the certificate {presented} is not the pinned one")]
struct Unpinned {
    presented: String,
}

fn unpinned(error: &std::io::Error) -> Option<&Unpinned> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(OtherError(why))) => {
            why.downcast_ref()
        }
        _ => None,
    }
}

#[derive(Debug)]
struct Pin {
    leaf: CertificateDer<'static>,
    schemes: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if presented.as_ref() == self.leaf.as_ref() {
            return Ok(ServerCertVerified::assertion());
        }
        let why = Unpinned { presented: fingerprint(presented) };
        Err(rustls::CertificateError::Other(OtherError(Arc::new(why))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.supported_schemes()
    }
}
