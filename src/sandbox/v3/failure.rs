//! What goes wrong, in the stack's words (V3 3.2): over MQTT in events, over gRPC as a status with details.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{Any, ListValue, Struct, Value};
use tonic::{Code, Status};

use super::json::Object;
use crate::rpc::proto::status;
use crate::rpc::proto::v3::ErrorDetails;

/// A value that a failure names.
#[derive(Clone, Debug)]
pub(super) enum Attribute {
    Text(String),
    Number(u32),
    Flag(bool),
    Texts(Vec<String>),
}

/// One failure.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    code: Code,
    namespace: &'static str,
    name: &'static str,
    format: &'static str,
    attributes: Vec<(&'static str, Attribute)>,
    cause: Option<Box<Self>>,
}

impl Failure {
    /// By its code, namespace and name, and a text with the attributes' names in braces.
    pub(super) fn new(code: Code, namespace: &'static str, name: &'static str, format: &'static str) -> Self {
        Self { code, namespace, name, format, attributes: Vec::new(), cause: None }
    }

    pub(super) fn with(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.attributes.push((name, Attribute::Text(text.into())));
        self
    }

    pub(super) fn with_value(mut self, name: &'static str, value: Attribute) -> Self {
        self.attributes.push((name, value));
        self
    }

    pub(super) fn because(mut self, cause: Self) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// A field that breaks the schema's rules, from the outermost message on: its validator, the field in it.
    pub(super) fn invalid(path: &[(&'static str, &str)], reason: &str) -> Self {
        let mut failure: Option<Self> = None;
        for (validator, field) in path.iter().rev() {
            let reason = if failure.is_some() { "embedded message failed validation" } else { reason };
            let outer = Self::new(Code::InvalidArgument, "pkg/errors", "validation", "invalid `{field}`: {reason}")
                .with("name", format!("{validator}ValidationError"))
                .with("field", *field)
                .with("reason", reason);
            failure = Some(match failure {
                Some(cause) => outer.because(cause),
                None => outer,
            });
        }
        failure.unwrap_or_else(|| Self::new(Code::InvalidArgument, "pkg/errors", "validation", "invalid"))
    }

    /// As an object of an event.
    pub(super) fn to_json(&self, correlation_id: u128) -> String {
        let attributes = self.attributes.iter().fold(Object::spaced(), |object, (name, value)| match value {
            Attribute::Text(text) => object.text(name, text),
            Attribute::Number(number) => object.put(name, number),
            Attribute::Flag(flag) => object.put(name, flag),
            Attribute::Texts(texts) => object.texts(name, texts),
        });
        Object::spaced()
            .text("namespace", self.namespace)
            .text("name", self.name)
            .text("message_format", self.format)
            .maybe("attributes", (!self.attributes.is_empty()).then(|| attributes.end()))
            .put("correlation_id", format_args!("\"{correlation_id:032x}\""))
            .number("code", self.code as u8)
            .end()
    }

    pub(super) fn details(&self, random: &mut fastrand::Rng) -> ErrorDetails {
        let fields = self.attributes.iter().map(|(name, value)| ((*name).to_owned(), value.to_value()));
        let fields: BTreeMap<_, _> = fields.collect();
        ErrorDetails {
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            message_format: self.format.to_owned(),
            attributes: (!fields.is_empty()).then_some(Struct { fields }),
            correlation_id: format!("{:032x}", random.u128(..)),
            cause: self.cause.as_ref().map(|cause| Box::new(cause.details(random))),
            code: self.code as u32,
            details: Vec::new(),
        }
    }

    /// As the status of a call.
    pub(super) fn to_status(&self, random: &mut fastrand::Rng) -> Status {
        let words = self.attributes.iter().fold(self.format.to_owned(), |words, (name, value)| {
            words.replace(&format!("{{{name}}}"), &value.to_text())
        });
        let message = format!("error:{}:{} ({words})", self.namespace, self.name);
        let detail = Any {
            type_url: "type.googleapis.com/ttn.lorawan.v3.ErrorDetails".to_owned(),
            value: self.details(random).encode_to_vec(),
        };
        let details = status::Status { code: self.code as i32, message: message.clone(), details: vec![detail] };
        Status::with_details(self.code, message, details.encode_to_vec().into())
    }
}

impl Attribute {
    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Texts(texts) => texts.join(", "),
        }
    }

    fn to_value(&self) -> Value {
        let text = |text: &String| Value { kind: Some(Kind::StringValue(text.clone())) };
        match self {
            Self::Text(own) => text(own),
            Self::Number(number) => Value { kind: Some(Kind::NumberValue(f64::from(*number))) },
            Self::Flag(flag) => Value { kind: Some(Kind::BoolValue(*flag)) },
            Self::Texts(texts) => {
                Value { kind: Some(Kind::ListValue(ListValue { values: texts.iter().map(text).collect() })) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_the_stack_says() {
        let failure = Failure::new(Code::NotFound, "pkg/x", "not_found", "device `{id}` not found").with("id", "a");
        assert_eq!(
            failure.to_json(7),
            "{\"namespace\":\"pkg/x\", \"name\":\"not_found\", \"message_format\":\"device `{id}` not found\", \
             \"attributes\":{\"id\":\"a\"}, \"correlation_id\":\"00000000000000000000000000000007\", \"code\":5}"
        );
        let status = failure.to_status(&mut fastrand::Rng::new());
        assert_eq!((status.code(), status.message()), (Code::NotFound, "error:pkg/x:not_found (device `a` not found)"));
        let details = status::Status::decode(status.details()).unwrap();
        let details = ErrorDetails::decode(details.details[0].value.as_slice()).unwrap();
        assert_eq!((details.name.as_str(), details.code), ("not_found", 5));
    }

    #[test]
    fn a_broken_rule_names_each_message_on_its_way() {
        let failure = Failure::invalid(&[("Request", "end_device"), ("EndDevice", "ids")], "too short");
        let status = failure.to_status(&mut fastrand::Rng::new());
        assert_eq!(
            status.message(),
            "error:pkg/errors:validation (invalid `end_device`: embedded message failed validation)"
        );
        let cause = failure.cause.unwrap();
        assert_eq!(cause.attributes.len(), 3);
        assert!(cause.cause.is_none());
    }
}
