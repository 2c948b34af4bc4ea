//! The same GET without Provost: one kept connection to pvedaemon's port, a prepared request, the answer's bytes into a
//! buffer that stays. Nothing is parsed but the length.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::site::Cluster;

/// The server closes what has waited for five seconds.
const IDLE: Duration = Duration::from_secs(3);

pub struct Bare {
    address: String,
    token: String,
    stream: TcpStream,
    used: Instant,
    buffer: Vec<u8>,
}

impl Bare {
    pub fn connect(cluster: &Cluster) -> io::Result<Self> {
        let address = cluster.daemon.trim_start_matches("http://").to_owned();
        let (stream, used) = (dial(&address)?, Instant::now());
        Ok(Self { stream, used, address, token: cluster.token()?, buffer: vec![0; 64 << 10] })
    }

    /// A whole request; its answer goes through [`Bare::ask`].
    pub fn request(&self, path: &str) -> String {
        format!(
            "GET /api2/json{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: PVEAPIToken={}\r\n\r\n",
            self.address, self.token
        )
    }

    /// Bytes of the body, which was read to its end.
    pub fn ask(&mut self, request: &str) -> io::Result<usize> {
        self.answer(request).map(|body| body.len())
    }

    /// The body.
    pub fn body(&mut self, request: &str) -> io::Result<Vec<u8>> {
        let body = self.answer(request)?;
        Ok(self.buffer[body].to_vec())
    }

    fn answer(&mut self, request: &str) -> io::Result<Range<usize>> {
        self.stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        let (head, length) = loop {
            filled += self.read(filled)?;
            if let Some(head) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                break (head + 4, length(&self.buffer[..head])?);
            }
        };
        if self.buffer.len() < head + length {
            self.buffer.resize(head + length, 0);
        }
        while filled < head + length {
            filled += self.read(filled)?;
        }
        Ok(head..head + length)
    }

    /// A new connection, if that was the last answer on this one or it has waited for too long: not what is to be measured.
    pub fn renew(&mut self) -> io::Result<()> {
        let ended = self.buffer.windows(17).take(512).any(|window| window == b"Connection: close");
        if ended || self.used.elapsed() > IDLE {
            self.stream = dial(&self.address)?;
        }
        self.used = Instant::now();
        Ok(())
    }

    fn read(&mut self, from: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[from..])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

fn dial(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the header says of the body, of a 200.
fn length(head: &[u8]) -> io::Result<usize> {
    let head = std::str::from_utf8(head).map_err(io::Error::other)?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
    length.filter(|_| head.starts_with("HTTP/1.1 200")).ok_or_else(|| io::Error::other(head.to_owned()))
}
