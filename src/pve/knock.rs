//! Whether a daemon is there and is the one that was meant. Nothing is asked, and no token is shown.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::address::Address;
use super::connection::{Connection, Unconnected};
use super::tls::PinFile;
use crate::product::Product;

/// Why nobody opens.
#[derive(Debug, thiserror::Error)]
pub enum Shut {
    /// It is somebody else, or the file that says who it should be cannot be read.
    #[error("{0}")]
    Certificate(String),
    #[error("{0}")]
    Silent(String),
    /// What it is asked by is no address.
    #[error("{0}")]
    NoAddress(String),
}

/// `url`: as `[pve] url` or `[pve] daemon` has it.
pub async fn knock(product: Product, url: &str, certificate: &Path, patience: Duration) -> Result<(), Shut> {
    let address = Address::url(url).map_err(|error| Shut::NoAddress(error.to_string()))?;
    let opened =
        Connection::open(&address, &PinFile::new(product, certificate), Instant::now() + patience).await;
    match opened {
        Ok(_) => Ok(()),
        Err(Unconnected::Certificate(error)) => Err(Shut::Certificate(error.to_string())),
        Err(Unconnected::Io(error)) => Err(Shut::Silent(error.to_string())),
        Err(Unconnected::TimedOut(after)) => {
            Err(Shut::Silent(format!("no answer within {} s", after.as_secs().max(1))))
        }
    }
}
