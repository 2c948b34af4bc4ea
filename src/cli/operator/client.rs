//! One question to the daemon, and its answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Failed, Where};
use crate::config::{self, ConfigError};
use crate::control::{Ask, MOST_ANSWERED, Reply};

/// Longer than the daemon gives itself.
const PATIENCE: Duration = Duration::from_secs(40);

pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Where the configuration says; its default where there is none to read, as for a user who may not.
    pub fn at(at: &Where) -> Result<Self, Failed> {
        if let Some(socket) = &at.socket {
            return Ok(Self { socket: socket.clone() });
        }
        let socket = match config::load(&config::path(at.config.clone())) {
            Ok(config) => config.listen.control(),
            Err(ConfigError::Read { .. }) if at.config.is_none() => config::Listen::default().control(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { socket })
    }

    pub fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, Failed> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|source| Failed::Unreachable {
            socket: self.socket.clone(),
            next: match source.kind() {
                io::ErrorKind::PermissionDenied => "try as root",
                _ => "is the daemon running? systemctl status provost provost-control.socket",
            },
            source,
        })?;
        let line = (|| {
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut line = serde_json::to_vec(ask)?;
            line.push(b'\n');
            stream.write_all(&line)?;
            let mut answer = String::new();
            BufReader::new(stream.take(MOST_ANSWERED)).read_line(&mut answer)?;
            match answer.is_empty() {
                true => Err(io::Error::other("it was closed without an answer")),
                false => Ok(answer),
            }
        })();
        match serde_json::from_str(&line.map_err(Failed::Broke)?) {
            Ok(Reply::Done(answer)) => serde_json::from_value(answer).map_err(|_| Failed::NoAnswer),
            Ok(Reply::Refused(refused)) => Err(Failed::Refused(refused)),
            Err(_) => Err(Failed::NoAnswer),
        }
    }
}
