//! Bodies: what comes is bounded in size, time and memory; what goes ends with its token.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use super::answer::{Answer, Body, refuse};
use crate::policy::{Share, Spent};
use crate::text::{MOST_VALUES, is_crowded};

/// Bytes of a request's body: as much as a message has by the other doors.
pub const LONGEST: usize = 8 << 20;
/// From a body's first byte to its last.
const TO_SAY: Duration = Duration::from_secs(30);

/// The whole body. `held` is what of all bodies' memory this one takes, until it is dropped.
pub async fn read(mut body: Incoming, mut held: Share) -> Result<(Bytes, Share), Answer> {
    let too_long =
        || refuse(413, "too_long", &format!("a request's body has at most {LONGEST} bytes"), "send less");
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(too_long());
    }
    let reading = async {
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| refuse(400, "body", "the body broke off", ""))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > LONGEST {
                return Err(too_long());
            }
            if let Err(spent) = held.resize(whole.len() + data.len()) {
                let who = match spent {
                    Spent::Own => "other requests on your account",
                    Spent::All => "others",
                };
                let why = format!("there is no room for this body while {who} send as long ones");
                return Err(refuse(503, "busy", &why, "call again"));
            }
            whole.extend_from_slice(&data);
        }
        if is_crowded(&whole) {
            let why = format!("a request's JSON holds at most {MOST_VALUES} values");
            return Err(refuse(413, "too_long", &why, "send less"));
        }
        Ok(Bytes::from(whole))
    };
    let slow = |_| refuse(408, "too_slow", &format!("the body did not come within {TO_SAY:?}"), "");
    let whole = tokio::time::timeout(TO_SAY, reading).await.map_err(slow)??;
    Ok((whole, held))
}

type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An answer's body that ends when `end` does, whatever it has still to say.
pub struct Until {
    inner: Body,
    /// None: it has.
    end: Option<End>,
}

impl Until {
    pub fn of(inner: Body, end: impl Future<Output = ()> + Send + 'static) -> Body {
        Self { inner, end: Some(Box::pin(end)) }.boxed_unsync()
    }
}

impl hyper::body::Body for Until {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.end.as_mut().is_none_or(|end| end.as_mut().poll(context).is_ready()) {
            self.end = None;
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_none() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
