//! Who may call what: keys, rights and rate limits (V3 3.1, 3.2).

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};

use crate::sandbox::v3::failure::{Attribute, Failure};
use crate::sandbox::v3::key::{ApiKey, Owner};
use crate::sandbox::v3::limit::{CALLS, Rate};
use crate::sandbox::v3::registry::BadKey;
use crate::sandbox::v3::right::Rights;
use crate::sandbox::v3::stack::Stack;

/// What a call is about.
pub(super) struct Subject {
    pub(super) app_id: String,
    pub(super) dev_id: Option<String>,
}

/// The key of a call, and its ID. Of a text that is no key the ID is empty.
fn key(metadata: &MetadataMap) -> Result<&str, Failure> {
    let refuse = |name, format| Err(Failure::new(Code::Unauthenticated, "pkg/identityserver", name, format));
    let Some(given) = metadata.get("authorization").and_then(|value| value.to_str().ok()) else {
        return refuse("unauthenticated", "unauthenticated");
    };
    match given.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(key),
        _ => refuse("unsupported_authorization", "unsupported authorization method"),
    }
}

/// What is wrong with a key, in the Identity Server's words.
fn refused(key: &str, bad: BadKey) -> Failure {
    const SERVER: &str = "pkg/identityserver";
    match bad {
        BadKey::NoKey => Failure::new(Code::InvalidArgument, "pkg/auth", "token", "invalid token"),
        BadKey::UnknownId => {
            let id = key.split('.').nth(1).unwrap_or_default();
            let cause = "api key with id `{api_key_id}` not found";
            let cause = Failure::new(Code::NotFound, "pkg/identityserver/store", "api_key_not_found", cause);
            Failure::new(Code::Unauthenticated, SERVER, "api_key_not_found", "API key not found")
                .because(cause.with("api_key_id", id))
        }
        BadKey::WrongSecret => {
            Failure::new(Code::Unauthenticated, SERVER, "invalid_authorization", "invalid authorization")
        }
        BadKey::Expired => Failure::new(Code::Unauthenticated, SERVER, "token_expired", "token expired"),
    }
}

impl Stack {
    /// The key of a call, while there is somebody to look it up.
    fn key<'m>(&self, metadata: &'m MetadataMap) -> Result<&'m str, Failure> {
        let key = key(metadata)?;
        if self.faults.has_lost_identity() {
            let cause = Failure::new(Code::Unknown, "pkg/errors", "syscall", "`{syscall}` failed");
            return Err(Failure::new(Code::Unavailable, "pkg/errors", "net_operation", "net operation failed")
                .with("address", "127.0.0.1:5432")
                .with("net", "tcp")
                .with("op", "dial")
                .with_value("timeout", Attribute::Flag(false))
                .because(cause.with("error", "connection refused").with("syscall", "connect")));
        }
        Ok(key)
    }

    /// What a key permits with an application; nothing for a key of another one.
    pub(super) fn rights_of(&self, metadata: &MetadataMap, app_id: &str) -> Result<Option<Rights>, Failure> {
        let key = self.key(metadata)?;
        self.registry().rights(app_id, key).map_err(|bad| refused(key, bad))
    }

    /// Whose the key of a call is; `None` without one.
    pub(super) fn owners(&self, metadata: &MetadataMap) -> Result<Option<Vec<(Owner, ApiKey)>>, Failure> {
        if metadata.get("authorization").is_none() {
            return Ok(None);
        }
        let key = self.key(metadata)?;
        self.registry().owners(key).map(Some).map_err(|bad| refused(key, bad))
    }

    /// Whether a call comes from this user. Applications have no rights on users.
    pub(super) fn check_user(&self, metadata: &MetadataMap, user_id: &str) -> Result<(), Failure> {
        // Fails without a key.
        self.key(metadata)?;
        let owners = self.owners(metadata)?.unwrap_or_default();
        if owners.iter().any(|(owner, _)| matches!(owner, Owner::User(_))) {
            return Ok(());
        }
        let format = "no rights for user `{uid}`";
        Err(Failure::new(Code::PermissionDenied, "pkg/auth/rights", "no_user_rights", format).with("uid", user_id))
    }

    fn check_rights(&self, metadata: &MetadataMap, app_id: &str, needed: &[i32]) -> Result<(), Failure> {
        let rights = self.rights_of(metadata, app_id)?;
        if needed.is_empty() {
            return Ok(());
        }
        let uid = self.registry().uid(app_id);
        let Some(rights) = rights else {
            let format = "no rights for application `{uid}`";
            let failure = Failure::new(Code::PermissionDenied, "pkg/auth/rights", "no_application_rights", format);
            return Err(failure.with("uid", uid));
        };
        let missing = needed.iter().filter(|right| !rights.has(**right)).map(|right| Rights::name(*right).to_owned());
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            return Ok(());
        }
        let format = "insufficient rights for application `{uid}`";
        let name = "insufficient_application_rights";
        let failure = Failure::new(Code::PermissionDenied, "pkg/auth/rights", name, format);
        Err(failure.with("uid", uid).with_value("missing", Attribute::Texts(missing)))
    }

    /// How a call stands with its limit, each method, subject and key counted for itself.
    fn rate(&self, metadata: &MetadataMap, method: &str, subject: &Subject) -> (Option<Rate>, String) {
        let id = key(metadata).ok().and_then(|key| key.split('.').nth(1)).unwrap_or_default();
        let uid = self.registry().uid(&subject.app_id);
        let of = match &subject.dev_id {
            Some(dev_id) => format!("end device:{uid}.{dev_id}"),
            None => format!("application:{uid}"),
        };
        let who = format!("grpc:method:{method}:{of}:token:{id}");
        (self.limits.look(CALLS, &who), who)
    }

    /// Answer a call that has the rights it needs, within its limit.
    pub(super) async fn answer<T, R>(
        &self,
        request: Request<T>,
        method: &'static str,
        subject: impl Fn(&T) -> Subject,
        needed: impl FnOnce(&T) -> Vec<i32>,
        work: impl FnOnce(T) -> Result<R, Failure>,
    ) -> Result<Response<R>, Status> {
        let checked = |metadata: &MetadataMap, message: T| {
            self.check_rights(metadata, &subject(&message).app_id, &needed(&message))?;
            work(message)
        };
        self.answer_anybody(request, method, &subject, checked).await
    }

    /// Answer a call within its limit, which looks at the key itself.
    pub(super) async fn answer_anybody<T, R>(
        &self,
        request: Request<T>,
        method: &'static str,
        subject: impl FnOnce(&T) -> Subject,
        work: impl FnOnce(&MetadataMap, T) -> Result<R, Failure>,
    ) -> Result<Response<R>, Status> {
        self.faults.pause().await;
        let (metadata, _, message) = request.into_parts();
        let subject = subject(&message);
        let (rate, who) = self.rate(&metadata, method, &subject);
        let over = rate.as_ref().filter(|rate| !rate.within).map(|rate| {
            let format = "rate limit of `{rate}` accesses per minute exceeded for resource `{key}`";
            Failure::new(Code::ResourceExhausted, "pkg/ratelimit", "rate_limit_exceeded", format)
                .with("key", who)
                .with_value("rate", Attribute::Number(rate.limit))
        });
        let outcome = match over {
            Some(failure) => Err(failure),
            None => work(&metadata, message),
        };
        let mut told = MetadataMap::new();
        if let Some(rate) = rate {
            for (name, number) in [
                ("x-rate-limit-limit", u64::from(rate.limit)),
                ("x-rate-limit-available", u64::from(rate.available)),
                ("x-rate-limit-reset", rate.reset.as_secs()),
                ("x-rate-limit-retry", rate.retry.as_secs()),
            ] {
                told.insert(name, MetadataValue::from(number));
            }
        }
        match outcome {
            Ok(answer) => Ok(Response::from_parts(told, answer, tonic::Extensions::default())),
            Err(failure) => {
                let mut status = failure.to_status(&mut self.random());
                status.metadata_mut().extend(told);
                Err(status)
            }
        }
    }
}

trait Extend {
    fn extend(&mut self, other: MetadataMap);
}

impl Extend for MetadataMap {
    fn extend(&mut self, other: MetadataMap) {
        let joined = std::mem::take(self).into_headers().into_iter().chain(other.into_headers());
        let mut headers = tonic::codegen::http::HeaderMap::new();
        headers.extend(joined.filter_map(|(name, value)| name.map(|name| (name, value))));
        *self = MetadataMap::from_headers(headers);
    }
}
