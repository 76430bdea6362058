//! Calls that give one message after the other: what applications are told, now and lately (V3 3.4.12, 3.4.14).

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use jiff::Timestamp;
use prost_reflect::{DynamicMessage, ReflectMessage as _};
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::access::Subject;
use super::mask::{copy, typed};
use super::{Servers, of_application, of_device};
use crate::rpc::proto::v3::application_up_storage_server::ApplicationUpStorage;
use crate::rpc::proto::v3::{ApplicationIdentifiers, ApplicationUp, GetStoredApplicationUpRequest};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::right::TRAFFIC_READ;
use crate::sandbox::v3::storage::{UP, Wanted};

/// What the members of a message may be (V3 3.6.13).
const KINDS: [&str; 12] = [
    "",
    "uplink_message",
    "uplink_normalized",
    "join_accept",
    "downlink_ack",
    "downlink_nack",
    "downlink_sent",
    "downlink_failed",
    "downlink_queued",
    "downlink_queue_invalidated",
    "location_solved",
    "service_data",
];

/// What is told from now on.
#[derive(Debug)]
pub(in crate::sandbox::v3) struct Told(pub(in crate::sandbox::v3) mpsc::Receiver<Result<ApplicationUp, Status>>);

impl Stream for Told {
    type Item = Result<ApplicationUp, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// What was told.
#[derive(Debug)]
pub(in crate::sandbox::v3) struct Kept(VecDeque<ApplicationUp>);

impl Stream for Kept {
    type Item = Result<ApplicationUp, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

impl Servers {
    pub(super) async fn tell(&self, request: Request<ApplicationIdentifiers>) -> Result<Response<Told>, Status> {
        let work = |ids: ApplicationIdentifiers| {
            let uid = self.0.registry().uid(&ids.application_id);
            Ok(Told(self.0.subscribe(uid)))
        };
        let subject = |ids: &ApplicationIdentifiers| of_application(Some(ids));
        self.0.answer(request, "/ttn.lorawan.v3.AppAs/Subscribe", subject, |_| vec![TRAFFIC_READ], work).await
    }

    fn kept(&self, request: GetStoredApplicationUpRequest) -> Result<Kept, Failure> {
        let invalid = |field: &str, reason: &str| Failure::invalid(&[("GetStoredApplicationUpRequest", field)], reason);
        if !KINDS.contains(&request.r#type.as_str()) {
            return Err(invalid("type", &format!("value must be in list [{}]", KINDS.join(" "))));
        }
        if !["", "received_at", "-received_at"].contains(&request.order.as_str()) {
            return Err(invalid("order", "value must be in list [ -received_at received_at]"));
        }
        let instant = |at: Option<prost_types::Timestamp>| at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok());
        let lately = request.last.and_then(|last| {
            let last = jiff::SignedDuration::new(last.seconds, last.nanos);
            Timestamp::now().checked_sub(last).ok()
        });
        let subject = subject(&request);
        let wanted = Wanted {
            uid: self.0.registry().uid(&subject.app_id),
            dev_id: subject.dev_id,
            kind: request.r#type,
            after: instant(request.after).max(lately),
            before: instant(request.before),
            f_port: request.f_port,
        };
        let limit = request.limit.map_or(usize::MAX, |limit| limit as usize);
        let found = self.0.storage.find(&wanted, limit, request.order.starts_with('-'));
        let paths = request.field_mask.unwrap_or_default().paths;
        Ok(Kept(found.iter().map(|up| shown(up, &paths)).collect()))
    }
}

/// What a mask names of a message, and always whose it is, and when it came; all without a mask.
fn shown(up: &DynamicMessage, paths: &[String]) -> ApplicationUp {
    if paths.is_empty() {
        return typed(up);
    }
    let mut shown = DynamicMessage::new(up.descriptor());
    debug_assert_eq!(up.descriptor().full_name(), UP);
    let paths = paths.iter().map(|path| path.strip_prefix("up.").unwrap_or(path).to_owned());
    let paths: Vec<_> = ["end_device_ids", "received_at"].map(str::to_owned).into_iter().chain(paths).collect();
    copy(up, &mut shown, &paths);
    typed(&shown)
}

fn subject(request: &GetStoredApplicationUpRequest) -> Subject {
    match &request.end_device_ids {
        Some(ids) => of_device(Some(ids)),
        None => of_application(request.application_ids.as_ref()),
    }
}

#[tonic::async_trait]
impl ApplicationUpStorage for Servers {
    type GetStoredApplicationUpStream = Kept;

    async fn get_stored_application_up(
        &self,
        request: Request<GetStoredApplicationUpRequest>,
    ) -> Result<Response<Kept>, Status> {
        let method = "/ttn.lorawan.v3.ApplicationUpStorage/GetStoredApplicationUp";
        self.0.answer(request, method, subject, |_| vec![TRAFFIC_READ], |request| self.kept(request)).await
    }
}
