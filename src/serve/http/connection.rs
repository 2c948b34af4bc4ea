//! One connection: HTTP/1.1, its headers bounded in number, size and time, its answers in time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::callers::Callers;
use super::{Door, Face, route};

/// For the first byte of a request to its last header; between two requests too.
const TO_SAY_HEADERS: Duration = Duration::from_secs(15);
/// For a client to take in something of what it is sent.
const TO_READ: Duration = Duration::from_secs(30);
/// Bytes of a request's headers, and how many.
pub const MOST_HEADER_BYTES: usize = 32 << 10;
const MOST_HEADERS: usize = 64;
/// For answers that are on their way when the daemon ends.
const TO_END: Duration = Duration::from_secs(3);

pub trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for T {}

pub type Stream = Box<dyn ReadWrite>;

pub async fn serve<F: Face>(
    stream: Stream,
    door: Arc<Door>,
    callers: Arc<Callers<F>>,
    stop: CancellationToken,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TO_READ));
    let answering = service_fn(move |request| {
        let (door, callers) = (door.clone(), callers.clone());
        async move { Ok::<_, Infallible>(route::answer(&door, &callers, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TO_SAY_HEADERS)
        .max_headers(MOST_HEADERS)
        // Who has sent so much, and no end of the headers, is refused here; what came with the last of it is counted in `route`.
        .max_buf_size(MOST_HEADER_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), answering);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "an HTTP connection broke");
            }
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(TO_END, connection).await;
        }
    }
}
