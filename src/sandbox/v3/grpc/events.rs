//! The stream of events, of applications and devices (V3 3.4.13).

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use super::{Servers, of_application, of_device};
use crate::rpc::proto::v3::entity_identifiers::Ids;
use crate::rpc::proto::v3::events_server::Events;
use crate::rpc::proto::v3::{EntityIdentifiers, Event, StreamEventsRequest};
use crate::sandbox::script;
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::record::now;
use crate::sandbox::v3::right::TRAFFIC_READ;
use crate::sandbox::v3::watch::{About, NAMES, START, Wish};

const NAMESPACE: &str = "pkg/events/grpc";

/// Events from now on.
#[derive(Debug)]
pub(in crate::sandbox::v3) struct Followed(mpsc::Receiver<Result<Event, Status>>);

impl Stream for Followed {
    type Item = Result<Event, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// The names that a request means: whole ones, and of those that there are what a regular expression takes.
fn names(wanted: &[String]) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for name in wanted {
        let Some(pattern) = name.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
            names.push(name.clone());
            continue;
        };
        let (pattern, all) = (serde_json::Value::from(pattern), serde_json::Value::from(&NAMES[..]));
        let expression = format!("{all}.filter(function (name) {{ return new RegExp({pattern}).test(name); }})");
        let found = script::run("", &expression).map_err(|_| {
            let (name, format) = ("invalid_regexp", "invalid regexp `{regexp}`");
            Failure::new(Code::InvalidArgument, NAMESPACE, name, format).with("regexp", pattern.to_string())
        })?;
        let found: Vec<_> = found.0.as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
        // One that takes none is no wish for all.
        names.push(pattern.to_string());
        names.extend(found.into_iter().map(str::to_owned));
    }
    Ok(names)
}

impl Servers {
    /// What somebody with this key may follow of this, and whether that is its traffic.
    fn about(&self, metadata: &MetadataMap, wanted: &EntityIdentifiers) -> Result<(About, bool), Failure> {
        let denied = |name, format, uid: &str| {
            Err(Failure::new(Code::PermissionDenied, "pkg/auth/rights", name, format).with("uid", uid))
        };
        let subject = match &wanted.ids {
            Some(Ids::ApplicationIds(ids)) => of_application(Some(ids)),
            Some(Ids::DeviceIds(ids)) => of_device(Some(ids)),
            Some(Ids::GatewayIds(ids)) => {
                return denied("no_gateway_rights", "no rights for gateway `{uid}`", &ids.gateway_id);
            }
            Some(Ids::OrganizationIds(ids)) => {
                return denied("no_organization_rights", "no rights for organization `{uid}`", &ids.organization_id);
            }
            Some(Ids::UserIds(ids)) => return denied("no_user_rights", "no rights for user `{uid}`", &ids.user_id),
            None => return Err(Failure::invalid(&[("EntityIdentifiers", "ids")], "value is required")),
        };
        let rights = self.0.rights_of(metadata, &subject.app_id)?;
        let uid = self.0.registry().uid(&subject.app_id);
        let Some(rights) = rights else {
            return denied("no_application_rights", "no rights for application `{uid}`", &uid);
        };
        Ok((About { uid, dev_id: subject.dev_id }, rights.has(TRAFFIC_READ)))
    }

    fn follow(&self, metadata: &MetadataMap, request: StreamEventsRequest) -> Result<Followed, Failure> {
        // Fails for a key that is none.
        let _rights = self.0.rights_of(metadata, "")?;
        if request.identifiers.is_empty() {
            return Err(Failure::new(Code::InvalidArgument, NAMESPACE, "no_identifiers", "no identifiers"));
        }
        if request.tail > 0 || request.after.is_some() {
            let (name, format) = ("storage_disabled", "events storage is not enabled");
            return Err(Failure::new(Code::FailedPrecondition, NAMESPACE, name, format));
        }
        let about = request.identifiers.iter().map(|wanted| self.about(metadata, wanted));
        let wish = Wish { about: about.collect::<Result<_, _>>()?, names: names(&request.names)? };
        let start = Event {
            name: START.to_owned(),
            time: Some(now()),
            identifiers: request.identifiers,
            origin: "localhost".to_owned(),
            unique_id: self.0.new_id("").split_off(1),
            ..Event::default()
        };
        Ok(Followed(self.0.watchers.watch(wish, start)))
    }
}

#[tonic::async_trait]
impl Events for Servers {
    type StreamStream = Followed;

    async fn stream(&self, request: Request<StreamEventsRequest>) -> Result<Response<Followed>, Status> {
        let method = "/ttn.lorawan.v3.Events/Stream";
        let work = |metadata: &MetadataMap, request| self.follow(metadata, request);
        self.0.answer_anybody(request, method, |_| of_application(None), work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_by_regular_expressions() {
        let of = |wanted: &[&str]| names(&wanted.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]).unwrap(), Vec::<String>::new());
        assert_eq!(of(&["as.up.data.forward"]).unwrap(), ["as.up.data.forward"]);
        assert_eq!(of(&["/^as\\.up\\..*forward$/"]).unwrap()[1..], ["as.up.data.forward", "as.up.join.forward"]);
        assert!(!of(&["/nobody/"]).unwrap().is_empty());
        assert!(of(&["/(/"]).is_err());
    }
}
