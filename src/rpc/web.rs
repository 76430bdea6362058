//! gRPC-web over HTTP/1.1 (CS 4.6): a call is a request whose body is the message, and the last frame of the answer says how it
//! ended. For servers that a proxy lets nothing else through to.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use hyper::{Request, Response, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tonic::body::Body;
use tonic::codegen::http::request::Parts;
use tower::util::BoxCloneSyncService;

use super::witness::Watched;
use crate::error::Error;

/// What goes wrong on the way.
pub(super) type Failed = Box<dyn std::error::Error + Send + Sync>;
/// What opens connections.
pub(super) type Door = BoxCloneSyncService<Uri, TokioIo<Watched>, Error>;

const WEB: &str = "application/grpc-web";
const ASKED: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");
const MARK: HeaderName = HeaderName::from_static("x-grpc-web");
/// How long a connection is kept that nobody uses: proxies end them after a minute, as a rule.
const IDLE: Duration = Duration::from_secs(30);
/// What stands before a message: a flag and a length.
const HEAD: usize = 5;
/// The flag of the frame that ends an answer.
const TRAILERS: u8 = 0x80;
/// Longest such frame.
const LONGEST: usize = 64 << 10;

impl Connection for Watched {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// A client of HTTP/1.1.
#[derive(Clone, Debug)]
pub(super) struct Web {
    client: Client<Door, Whole>,
    /// Scheme and authority of the server.
    server: Uri,
}

impl Web {
    pub(super) fn new(door: Door, server: Uri) -> Self {
        let client =
            Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).pool_timer(TokioTimer::new()).build(door);
        Self { client, server }
    }

    /// Send a call of gRPC, and give its answer as one of gRPC. What is no answer of gRPC-web has no body.
    pub(super) async fn call(&self, mut head: Parts, message: Bytes) -> Result<Response<Body>, Failed> {
        let mut place = self.server.clone().into_parts();
        place.path_and_query = head.uri.path_and_query().cloned();
        head.uri = Uri::from_parts(place)?;
        head.version = Version::HTTP_11;
        head.headers.remove(TE);
        head.headers.insert(CONTENT_TYPE, ASKED);
        head.headers.insert(ACCEPT, ASKED);
        head.headers.insert(MARK, HeaderValue::from_static("1"));
        let answer = self.client.request(Request::from_parts(head, Whole(Some(message)))).await?;
        let (head, body) = answer.into_parts();
        // A failure at once stands in the header.
        let is_whole = head.headers.contains_key("grpc-status") || !is_web(&head.headers);
        let body = if is_whole { Body::empty() } else { Body::new(Deframed::new(body)) };
        Ok(Response::from_parts(head, body))
    }
}

/// Whether an answer is one of gRPC-web.
pub(super) fn is_web(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with(WEB)
}

/// Whether an answer is one of gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.contains_key("grpc-status") || content_type(headers).starts_with("application/grpc")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default()
}

/// All of a request, which has one message.
pub(super) async fn collect(mut body: Body) -> Result<Bytes, Failed> {
    let mut all = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
    }
    Ok(all.freeze())
}

/// A body that is there.
#[derive(Debug)]
pub(super) struct Whole(pub(super) Option<Bytes>);

impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// An answer of gRPC-web as one of gRPC: what its last frame says is in the trailers.
struct Deframed<B> {
    body: B,
    /// What has come and was not looked at.
    left: Bytes,
    frames: Frames,
    /// Its last frame.
    last: Option<Frame<Bytes>>,
}

impl<B> Deframed<B> {
    fn new(body: B) -> Self {
        Self { body, left: Bytes::new(), frames: Frames::default(), last: None }
    }
}

impl hyper::body::Body for Deframed<Incoming> {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let this = &mut *self;
        loop {
            match this.frames.take(&mut this.left) {
                // What was read to its end leaves a connection that can be used again.
                Ok(Some(frame)) if frame.is_trailers() => this.last = Some(frame),
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => this.left = frame.into_data().unwrap_or_default(),
                _ if this.last.is_some() => return Poll::Ready(this.last.take().map(Ok)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None if this.frames.is_over() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(bad("the connection ended in the middle of an answer").into()))),
            }
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Tells the frames of an answer apart, however they come.
#[derive(Debug)]
pub(super) enum Frames {
    /// The beginning of one.
    Head(BytesMut),
    /// A message of which so much is missing.
    Message(usize),
    /// What ends the answer, up to so many bytes.
    Trailers(BytesMut, usize),
    Over,
}

impl Default for Frames {
    fn default() -> Self {
        Self::Head(BytesMut::new())
    }
}

impl Frames {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// What these bytes make, if they are enough for something; takes what it has used. A message goes on as it is.
    pub(super) fn take(&mut self, bytes: &mut Bytes) -> io::Result<Option<Frame<Bytes>>> {
        loop {
            match self {
                Self::Head(head) => {
                    let count = bytes.len().min(HEAD - head.len());
                    head.extend_from_slice(&bytes.split_to(count));
                    if head.len() < HEAD {
                        return Ok(None);
                    }
                    let whole = head.split().freeze();
                    let (flag, length) = (whole[0], (&whole[1..]).get_u32() as usize);
                    if flag & TRAILERS == 0 {
                        *self = if length == 0 { Self::default() } else { Self::Message(length) };
                        return Ok(Some(Frame::data(whole)));
                    }
                    if length > LONGEST {
                        return Err(bad("the end of an answer is too long"));
                    }
                    *self = Self::Trailers(BytesMut::new(), length);
                }
                Self::Message(missing) => {
                    if bytes.is_empty() {
                        return Ok(None);
                    }
                    let data = bytes.split_to(bytes.len().min(*missing));
                    *missing -= data.len();
                    if *missing == 0 {
                        *self = Self::default();
                    }
                    return Ok(Some(Frame::data(data)));
                }
                Self::Trailers(lines, length) => {
                    let count = bytes.len().min(*length - lines.len());
                    lines.extend_from_slice(&bytes.split_to(count));
                    if lines.len() < *length {
                        return Ok(None);
                    }
                    let trailers = read_trailers(lines).ok_or_else(|| bad("the end of an answer is unreadable"))?;
                    *self = Self::Over;
                    return Ok(Some(Frame::trailers(trailers)));
                }
                Self::Over => {
                    bytes.clear();
                    return Ok(None);
                }
            }
        }
    }
}

/// Lines as those of a header of HTTP/1.1, of which some servers leave out the space.
fn read_trailers(lines: &[u8]) -> Option<HeaderMap> {
    let mut trailers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii()).ok()?;
        trailers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer is as one of gRPC: the bytes of its messages, and its status.
    fn read(answer: &[u8], piece: usize) -> io::Result<(Vec<u8>, Option<String>)> {
        let (mut frames, mut data, mut status) = (Frames::default(), Vec::new(), None);
        for part in answer.chunks(piece) {
            let mut part = Bytes::copy_from_slice(part);
            while let Some(frame) = frames.take(&mut part)? {
                match frame.into_data() {
                    Ok(bytes) => data.extend_from_slice(&bytes),
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap();
                        status = Some(trailers["grpc-status"].to_str().unwrap().to_owned());
                    }
                }
            }
        }
        assert_eq!(frames.is_over(), status.is_some());
        Ok((data, status))
    }

    #[test]
    fn answers_are_read_however_they_come() {
        let messages = b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x01d";
        for end in [&b"\x80\0\0\0\x0fgrpc-status:0\r\n"[..], b"\x80\0\0\0\x10grpc-status: 0\r\n"] {
            let answer = [messages, end].concat();
            for piece in 1..=answer.len() {
                assert_eq!(read(&answer, piece).unwrap(), (messages.to_vec(), Some("0".to_owned())), "{piece}");
            }
        }
        assert_eq!(read(messages, 4).unwrap().1, None, "it goes on");
    }

    #[test]
    fn what_a_running_server_answered_is_read() {
        let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/chirpstack/11-ports-and-grpc-web.jsonl");
        let text = std::fs::read_to_string(vectors).unwrap();
        let mut read_some = 0;
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            let answer = hex::decode(record["body_hex"].as_str().unwrap_or_default()).unwrap();
            if answer.is_empty() {
                continue;
            }
            let (message, status) = read(&answer, 1000).unwrap();
            assert_eq!((message.len(), status.as_deref()), (HEAD + 0xf7, Some("0")), "{record}");
            read_some += 1;
        }
        assert_eq!(read_some, 2);
    }

    #[test]
    fn an_end_that_cannot_be_is_an_error() {
        assert!(read(b"\x80\0\x02\0\0", 9).is_err());
        assert!(read(b"\x80\0\0\0\x04abc\n", 9).is_err());
        assert!(read(b"\x80\0\0\0\x04a b:", 9).is_err());
    }
}
