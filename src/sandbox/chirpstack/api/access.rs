//! Who may call what (CS 4.2), and what the server says of failures (CS 4.3): a code and a text, and often no text.

use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Response, Status};

use super::Api;
use crate::sandbox::chirpstack::key::Caller;

/// What a method answers.
pub(super) type Answer<T> = Result<Response<T>, Status>;

/// What may not be done, and what is not there, look the same.
fn refused() -> Status {
    Status::unauthenticated("")
}

/// A value that cannot be read.
pub(super) fn invalid(words: String) -> Status {
    Status::invalid_argument(words)
}

/// All else, what the database says included.
pub(super) fn internal(words: impl Into<String>) -> Status {
    Status::internal(words)
}

/// There is none of this ID.
pub(super) fn not_found(id: &str) -> Status {
    Status::new(Code::NotFound, format!("Object does not exist (id: {id})"))
}

/// A part of a request that must be there.
pub(super) fn required<T>(part: Option<T>, name: &str) -> Result<T, Status> {
    part.ok_or_else(|| Status::invalid_argument(format!("{name} is missing")))
}

/// An answer that names in its metadata what it is about.
#[expect(clippy::unnecessary_wraps, reason = "what methods end with")]
pub(super) fn about<T>(message: T, name: &'static str, value: &str) -> Answer<T> {
    let mut response = Response::new(message);
    if let Ok(value) = AsciiMetadataValue::try_from(value) {
        response.metadata_mut().insert(name, value);
    }
    Ok(response)
}

impl Api {
    /// Who calls, once the server is not silent.
    pub(super) async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        self.0.faults.pause().await;
        let given = metadata.get("authorization").and_then(|given| given.to_str().ok());
        let given = given.ok_or_else(|| Status::unauthenticated("no authorization provided"))?;
        let token = given.strip_prefix("Bearer ");
        let token =
            token.ok_or_else(|| Status::unauthenticated("authorization metadata must be in format 'Bearer <TOKEN>"))?;
        let caller = self.0.keys.lock().caller(token).map_err(Status::unauthenticated)?;
        caller.ok_or_else(refused)
    }
}

impl Caller {
    /// May read what belongs to this tenant; to none where there is no such object.
    pub(super) fn may_read(&self, tenant_id: Option<&str>) -> Result<(), Status> {
        match self {
            Self::User => Ok(()),
            Self::Key(key) => match &key.tenant_id {
                None => Ok(()),
                Some(own) if Some(own.as_str()) == tenant_id => Ok(()),
                Some(_) => Err(refused()),
            },
        }
    }

    /// May change it.
    pub(super) fn may_write(&self, tenant_id: Option<&str>) -> Result<(), Status> {
        self.may_read(tenant_id)?;
        match self {
            Self::Key(key) if key.is_read_only => Err(refused()),
            _ => Ok(()),
        }
    }

    /// What no API key may do.
    pub(super) fn is_user(&self) -> Result<(), Status> {
        match self {
            Self::User => Ok(()),
            Self::Key(_) => Err(refused()),
        }
    }

    /// What only who may do everything may do.
    pub(super) fn is_admin(&self) -> Result<(), Status> {
        self.may_read(None)
    }
}
