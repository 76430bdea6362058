//! From a request to a call, and what came of it.

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Request, StatusCode, Uri};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Status, Streaming};

use super::body;
use super::route::{Found, find};
use crate::rpc::json::{self, Unreadable};
use crate::rpc::{AsIs, Method};

/// What addresses begin with.
const PREFIX: &str = "/api/v3/";

/// What is answered.
pub(super) enum Answer {
    /// A message, and what goes along with it.
    One(MetadataMap, String),
    /// One after the other, as they come.
    Many(MetadataMap, MessageDescriptor, Box<Streaming<bytes::Bytes>>),
}

/// What is not.
pub(super) enum Refusal {
    /// By the method.
    Method(Box<Status>),
    /// By the gateway before it.
    Gateway(StatusCode, Code, String),
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Method(Box::new(status))
    }
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self::Gateway(StatusCode::BAD_REQUEST, Code::InvalidArgument, unreadable.to_string())
    }
}

/// The key of a request, if it has one that has the form.
pub(super) fn key(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with("NNSXS.")).then_some(key)
}

/// A part of an address as it is meant.
fn decoded(text: &str, is_query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if byte.is_some() { &after[2..] } else { after };
        bytes.push(byte.unwrap_or(if is_query && *first == b'+' { b' ' } else { *first }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What an address asks for beside its path. Masks may be one text or many.
fn query(uri: &Uri, request: &mut DynamicMessage) -> Result<(), Unreadable> {
    for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        json::set(request, &decoded(name, true), &decoded(value, true))?;
    }
    Ok(())
}

/// Call what a request asks for.
pub(super) async fn answer(routes: &Routes, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, content) = request.into_parts();
    let gateway = |status, code, words: &str| Err(Refusal::Gateway(status, code, words.to_owned()));
    let path: Vec<_> = match head.uri.path().strip_prefix(PREFIX) {
        Some(path) => path.split('/').map(|segment| decoded(segment, false)).collect(),
        None => return gateway(StatusCode::NOT_FOUND, Code::NotFound, "Not Found"),
    };
    let (route, fields) = match find(head.method.as_str(), &path) {
        Found::Call(route, fields) => (route, fields),
        Found::OtherVerb => return gateway(StatusCode::NOT_IMPLEMENTED, Code::Unimplemented, "Method Not Allowed"),
        Found::Nothing => return gateway(StatusCode::NOT_FOUND, Code::NotFound, "Not Found"),
    };
    let (service, name) = route.call;
    let Some(method) = Method::find(&format!("ttn.lorawan.v3.{service}"), name) else {
        return gateway(StatusCode::NOT_FOUND, Code::NotFound, "Not Found");
    };
    let mut message = if route.has_body() {
        let Some(bytes) = body::read(content).await else {
            let words = "error:pkg/webmiddleware:request_body_too_large (request body too large)";
            return gateway(StatusCode::BAD_REQUEST, Code::InvalidArgument, words);
        };
        json::read(&method.input(), &json::parse(&bytes)?)?
    } else {
        DynamicMessage::new(method.input())
    };
    if !route.has_body() {
        query(&head.uri, &mut message)?;
    }
    // What the path says holds.
    for (field, value) in &fields {
        json::set(&mut message, field, value)?;
    }
    let mut call = tonic::Request::new(bytes::Bytes::from(prost::Message::encode_to_vec(&message)));
    if let Some(authorization) = head.headers.get(AUTHORIZATION) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization.clone());
        *call.metadata_mut() = MetadataMap::from_headers(headers);
    }
    let Ok(at) = method.path().parse() else {
        return gateway(StatusCode::NOT_FOUND, Code::NotFound, "Not Found");
    };
    let mut client = tonic::client::Grpc::new(routes.clone()).max_decoding_message_size(usize::MAX);
    client.ready().await.map_err(|never| Status::internal(never.to_string()))?;
    if method.is_streaming() {
        let (metadata, stream, _) = client.server_streaming(call, at, AsIs).await?.into_parts();
        return Ok(Answer::Many(metadata, method.output(), Box::new(stream)));
    }
    let (metadata, bytes, _) = client.unary(call, at, AsIs).await?.into_parts();
    let read = DynamicMessage::decode(method.output(), bytes).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Answer::One(metadata, json::write(&read)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::message::descriptor;

    #[test]
    fn addresses_are_read_as_they_are_meant() {
        for (text, is_query, meant) in [
            ("a%2Fb", false, "a/b"),
            ("a+b", false, "a+b"),
            ("a+b", true, "a b"),
            ("100%", true, "100%"),
            ("%zz", true, "%zz"),
        ] {
            assert_eq!(decoded(text, is_query), meant);
        }
    }

    #[test]
    fn masks_are_one_text_or_many() {
        let read = |text: &str| {
            let mut message = DynamicMessage::new(descriptor("ttn.lorawan.v3.GetEndDeviceRequest"));
            query(&text.parse().unwrap(), &mut message).unwrap();
            json::write(&message)
        };
        let expected = r#"{"field_mask":{"paths":["name","attributes"]}}"#;
        assert_eq!(read("/x?field_mask=name,attributes"), expected);
        assert_eq!(read("/x?field_mask.paths=name&field_mask.paths=attributes&unknown=1"), expected);
        assert_eq!(read("/x?field_mask=name%2Cattributes&&"), expected);
    }
}
