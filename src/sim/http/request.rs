//! One request as PVE reads it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What a head may be long.
const MAX_HEAD: usize = 64 * 1024;
/// What a body may be long, uploads aside.
const MAX_BODY: usize = 512 * 1024;

pub struct Request {
    pub method: String,
    /// Decoded whole, before it is split: `%2F` is a slash like any other.
    pub path: String,
    pub query: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// HTTP/1.0, or `Connection: close`.
    pub last: bool,
}

/// Why there is no request.
pub enum Unread {
    /// The client closed, or sent what is no HTTP.
    Closed,
    /// To be answered with this status, and closed.
    Refused(u16, &'static str),
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Reads the next one; `buffer` keeps what came after it.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<Self, Unread> {
        let (mut request, length) = loop {
            match parse(buffer)? {
                Some((request, head)) => {
                    buffer.drain(..head);
                    let length = request.length()?;
                    break (request, length);
                }
                None if buffer.len() > MAX_HEAD => {
                    return Err(Unread::Refused(431, "Request Header Fields Too Large"));
                }
                None => more(stream, buffer).await?,
            }
        };
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        request.body = buffer.drain(..length).collect();
        Ok(request)
    }

    fn length(&self) -> Result<usize, Unread> {
        if self.header("transfer-encoding").is_some() {
            return Err(Unread::Refused(501, "chunked transfer encoding not supported"));
        }
        let length = self.header("content-length").unwrap_or("0").parse();
        let length: usize = length.map_err(|_| Unread::Refused(400, "bad request"))?;
        let upload = self.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"));
        if length > MAX_BODY && !upload {
            return Err(Unread::Refused(501, "for data too large"));
        }
        Ok(length)
    }

    /// The query's and the body's parameters. `Err` is the problem with the body.
    pub fn parameters(&self) -> Result<BTreeMap<String, Value>, String> {
        let mut parameters = BTreeMap::new();
        if self.method == "POST" || self.method == "PUT" {
            let kind = self.header("content-type").unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            match kind {
                "application/json" if !self.body.is_empty() => {
                    parameters = serde_json::from_slice(&self.body)
                        .map_err(|error| format!("unable to parse JSON body: {error}"))?;
                }
                "" | "application/json" | "application/x-www-form-urlencoded" => {
                    decode_form(&self.body, &mut parameters);
                }
                "multipart/form-data" => decode_multipart(&self.body, &mut parameters),
                other => return Err(format!("upload 'Content-Type '{other}' not implemented")),
            }
        }
        decode_form(self.query.as_bytes(), &mut parameters);
        Ok(parameters)
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Result<(), Unread> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => Err(Unread::Closed),
        Ok(_) => Ok(()),
    }
}

/// A head and its length, if it is there whole.
fn parse(buffer: &[u8]) -> Result<Option<(Request, usize)>, Unread> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Unread::Refused(400, "bad request")),
    };
    let target = head.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: percent_decode(path.as_bytes()).decode_utf8_lossy().into_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        last: head.version == Some(0),
    };
    request.last |= request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some((request, length)))
}

/// The fields of an upload; of the file itself only its name.
fn decode_multipart(body: &[u8], into: &mut BTreeMap<String, Value>) {
    let body = String::from_utf8_lossy(body);
    let Some(boundary) = body.lines().next().filter(|line| line.starts_with("--")) else { return };
    for part in body.split(boundary).skip(1) {
        let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
        let field = |key: &str| {
            let after = head.split(&format!(" {key}=\"")).nth(1)?;
            after.split('"').next().map(str::to_owned)
        };
        match (field("name"), field("filename")) {
            (Some(_), Some(file)) => into.insert("filename".to_owned(), Value::String(file)),
            (Some(name), None) => into.insert(name, Value::String(value.trim_end_matches("\r\n").to_owned())),
            _ => None,
        };
    }
}

/// As PVE does it, traps and all: pairs end at `&` and at `;`, and a value at its second `=`. A name that comes again
/// makes a list.
pub fn decode_form(form: &[u8], into: &mut BTreeMap<String, Value>) {
    let text = |bytes: &[u8]| {
        let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).decode_utf8_lossy().into_owned()
    };
    for pair in form.split(|byte| matches!(byte, b'&' | b';')).filter(|pair| !pair.is_empty()) {
        let mut parts = pair.split(|byte| *byte == b'=');
        let name = text(parts.next().unwrap_or_default());
        let value = text(parts.next().unwrap_or_default());
        match into.get_mut(&name) {
            Some(Value::Array(list)) => list.push(Value::String(value)),
            Some(first) => *first = Value::Array(vec![first.take(), Value::String(value)]),
            None => {
                into.insert(name, Value::String(value));
            }
        }
    }
}
