//! gRPC-web over HTTP/1.1 (CS 4.6): each request becomes a call of gRPC, and what ends it a last frame of the answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use hyper::{Request, Response, StatusCode};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service as _;

/// Longest request: the library's default.
const LONGEST: usize = 4 << 20;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is asked for, and what is answered whichever was.
const WEB: &str = "application/grpc-web";
const ANSWER: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");
/// The flag of the frame that ends an answer.
const TRAILERS: u8 = 0x80;

/// What a request wants to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tongue {
    Grpc,
    Web { is_text: bool },
    Other,
}

pub(super) fn tongue(headers: &HeaderMap) -> Tongue {
    let given = headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    match given.strip_prefix(WEB) {
        Some(rest) => Tongue::Web { is_text: rest.starts_with("-text") },
        None if given.starts_with("application/grpc") => Tongue::Grpc,
        None => Tongue::Other,
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if status == StatusCode::NOT_FOUND {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    }
    response
}

/// All of a request; `None` for one that is too long, takes too long, or is no base64 where it says so.
async fn read(mut body: Incoming, is_text: bool) -> Option<Bytes> {
    let all = async {
        let mut read = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            if let Ok(data) = frame.ok()?.into_data() {
                if read.len() + data.len() > LONGEST {
                    return None;
                }
                read.extend_from_slice(&data);
            }
        }
        Some(read.freeze())
    };
    let read = timeout(PATIENCE, all).await.ok().flatten()?;
    if is_text { STANDARD.decode(&read).ok().map(Bytes::from) } else { Some(read) }
}

/// Call what a request asks for.
pub(super) async fn call(mut routes: Routes, request: Request<Incoming>, is_text: bool) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let Some(body) = read(body, is_text).await else { return empty(StatusCode::BAD_REQUEST) };
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head.headers.insert(TE, HeaderValue::from_static("trailers"));
    head.headers.remove(CONTENT_LENGTH);
    head.version = hyper::Version::HTTP_2;
    let Ok(answer) = routes.call(Request::from_parts(head, Body::new(Whole(Some(body))))).await;
    let (mut head, body) = answer.into_parts();
    head.headers.insert(CONTENT_TYPE, ANSWER);
    head.version = hyper::Version::HTTP_11;
    // A failure at once stands in the header.
    if head.headers.contains_key("grpc-status") {
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::new(Framed(body)))
}

/// A body that is there.
struct Whole(Option<Bytes>);

impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// An answer whose trailers are a frame of it.
struct Framed(Body);

impl hyper::body::Body for Framed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let trailers = match frame?.into_trailers() {
                Ok(trailers) => trailers,
                Err(data) => return Ok(data),
            };
            Ok(Frame::data(written(&trailers)))
        }))
    }
}

/// Trailers as a frame: a flag, the length, and lines.
fn written(trailers: &HeaderMap) -> Bytes {
    let mut lines = Vec::new();
    for (name, value) in trailers {
        lines.extend([name.as_str().as_bytes(), b":", value.as_bytes(), b"\r\n"].concat());
    }
    let mut frame = BytesMut::with_capacity(lines.len() + 5);
    frame.put_u8(TRAILERS);
    frame.put_u32(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&lines);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_a_frame() {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
        assert_eq!(hex::encode(written(&trailers)), "800000000f677270632d7374617475733a300d0a");
    }

    #[test]
    fn what_is_spoken_stands_in_the_content_type() {
        let tongue =
            |given: &'static str| tongue(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(given))]));
        assert_eq!(tongue("application/grpc-web+proto"), Tongue::Web { is_text: false });
        assert_eq!(tongue("application/grpc-web-text"), Tongue::Web { is_text: true });
        assert_eq!(tongue("application/grpc+proto"), Tongue::Grpc);
        assert_eq!(tongue("application/json"), Tongue::Other);
    }
}
