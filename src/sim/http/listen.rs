//! The two ports: pveproxy's with TLS 1.3, pvedaemon's without.

use std::io;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, version::TLS13};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::connection::{Daemon, serve};
use crate::sim::Shared;

/// After a connection that could not be taken.
const AGAIN: Duration = Duration::from_millis(100);

/// What the proxy shows, which a fault can renew.
pub struct Identity {
    config: RwLock<Arc<ServerConfig>>,
}

impl Identity {
    /// A new key and certificate for `node`; the certificate is put where PVE keeps it, and its fingerprint comes back.
    pub fn make(node: &str, file: &Path) -> io::Result<(Self, String)> {
        let (config, fingerprint) = certified(node, file)?;
        Ok((Self { config: RwLock::new(config) }, fingerprint))
    }

    pub fn renew(&self, node: &str, file: &Path) -> io::Result<String> {
        let (config, fingerprint) = certified(node, file)?;
        *self.config.write().unwrap_or_else(std::sync::PoisonError::into_inner) = config;
        Ok(fingerprint)
    }

    /// For one connection, as it is now.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current())
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn certified(node: &str, file: &Path) -> io::Result<(Arc<ServerConfig>, String)> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut parameters =
        CertificateParams::new(vec![node.to_owned(), "localhost".to_owned()]).map_err(io::Error::other)?;
    parameters.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    parameters.distinguished_name.push(DnType::CommonName, format!("{node}.example.org"));
    parameters.distinguished_name.push(DnType::OrganizationName, "Simulated cluster node");
    let certificate = parameters.self_signed(&key).map_err(io::Error::other)?;

    let digest = ring::digest::digest(&ring::digest::SHA256, certificate.der());
    let fingerprint: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();

    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private)
        })
        .map_err(io::Error::other)?;
    // pveproxy resumes no session: each connection is a whole handshake.
    config.send_tls13_tickets = 0;
    super::super::etc_pve::replace(file, certificate.pem().as_bytes())?;
    Ok((Arc::new(config), fingerprint.join(":")))
}

/// Who connects next.
pub async fn accepted(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // No descriptor is left for it: the next try is no different before one is closed.
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

pub async fn proxy(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let stream = accepted(&listener).await;
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let acceptor = shared.identity.acceptor();
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(shared, Daemon::Proxy, stream).await;
            }
        });
    }
}

pub async fn pvedaemon(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let stream = accepted(&listener).await;
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(Arc::clone(&shared), Daemon::Pvedaemon, stream));
    }
}
