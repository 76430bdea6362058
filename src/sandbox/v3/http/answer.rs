//! What is answered: the gateway's headers, and failures as JSON with their details (V3 3.2).

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use tonic::body::Body;
use tonic::{Code, Status};

use super::body::Lines;
use super::call::{Answer, Refusal};
use crate::rpc::json;
use crate::rpc::message::descriptor;

/// What every answer of the gateway says.
const HEADERS: [(&str, &str); 7] = [
    ("cache-control", "no-store"),
    ("content-type", "application/json"),
    ("pragma", "no-cache"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("x-xss-protection", "1; mode=block"),
];
/// Where details are in a status.
const DETAILS: &str = "google.rpc.Status";

/// The HTTP status of a code.
fn status_of(code: Code) -> StatusCode {
    let number = match code {
        Code::Ok => 200,
        Code::Cancelled => 499,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::DeadlineExceeded => 504,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::PermissionDenied => 403,
        Code::ResourceExhausted => 429,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::Unauthenticated => 401,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
    };
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A status as JSON, with its details if it has some.
pub(super) fn refused(status: &Status) -> String {
    let whole = DynamicMessage::decode(descriptor(DETAILS), status.details()).ok();
    match whole.filter(|_| !status.details().is_empty()) {
        Some(whole) => json::write(&whole),
        None => plain(status.code(), status.message()),
    }
}

fn plain(code: Code, words: &str) -> String {
    let status =
        crate::rpc::proto::status::Status { code: code as i32, message: words.to_owned(), details: Vec::new() };
    // The same definition.
    DynamicMessage::decode(descriptor(DETAILS), &*status.encode_to_vec())
        .map(|status| json::write(&status))
        .unwrap_or_default()
}

/// What of a call's metadata goes along.
fn told(metadata: HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let is_told = |name: &HeaderName| {
        let name = name.as_str();
        name == "x-total-count" || name == "x-warning" || name.starts_with("x-rate-limit-")
    };
    metadata.into_iter().filter_map(move |(name, value)| name.filter(is_told).map(|name| (name, value)))
}

/// The answer as HTTP has it.
pub(super) fn response(outcome: Result<Answer, Refusal>, request_id: &str, is_key: bool) -> Response<Body> {
    let login = match &outcome {
        Err(Refusal::Method(status)) if status.code() == Code::Unauthenticated => {
            HeaderValue::try_from(status.message()).ok()
        }
        _ => None,
    };
    let (status, metadata, body) = match outcome {
        Ok(Answer::One(metadata, text)) => (StatusCode::OK, metadata.into_headers(), Body::new(text)),
        Ok(Answer::Many(metadata, descriptor, messages)) => {
            (StatusCode::OK, metadata.into_headers(), Body::new(Lines::new(messages, descriptor)))
        }
        // A service that this stack does not have.
        Err(Refusal::Method(status)) if status.code() == Code::Unimplemented && status.message().is_empty() => {
            (StatusCode::NOT_FOUND, HeaderMap::new(), Body::new(plain(Code::NotFound, "Not Found")))
        }
        Err(Refusal::Method(status)) => {
            let text = refused(&status);
            (status_of(status.code()), status.metadata().clone().into_headers(), Body::new(text))
        }
        Err(Refusal::Gateway(status, code, words)) => (status, HeaderMap::new(), Body::new(plain(code, &words))),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // Without a key it is the cookie of a browser that would log in.
    headers.insert("vary", HeaderValue::from_static(if is_key { "Accept-Encoding" } else { "Cookie" }));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        headers.insert("x-request-id", id);
    }
    if let Some(words) = login {
        headers.insert("www-authenticate", words);
    }
    headers.extend(told(metadata));
    response
}
