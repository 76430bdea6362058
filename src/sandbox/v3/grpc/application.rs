//! Applications at the Identity Server, and their formatters at the Application Server.

use prost_reflect::{DynamicMessage, ReflectMessage as _};
use tonic::{Code, Request, Response, Status};

use super::mask::{Allowed, copy};
use super::{Servers, of_application};
use crate::rpc::message::descriptor;
use crate::rpc::proto::v3::application_access_server::ApplicationAccess;
use crate::rpc::proto::v3::application_registry_server::ApplicationRegistry;
use crate::rpc::proto::v3::as_server::As;
use crate::rpc::proto::v3::{
    Application, ApplicationIdentifiers, ApplicationLink, GetApplicationLinkRequest, GetApplicationRequest, Rights,
    SetApplicationLinkRequest,
};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::formatter;
use crate::sandbox::v3::right::{DELETE, INFO, SETTINGS_BASIC};

const APPLICATION: &str = "ttn.lorawan.v3.Application";
const LINK: &str = "ttn.lorawan.v3.ApplicationLink";

const GET: Allowed = Allowed::all_of(&[
    "administrative_contact",
    "application_server_address",
    "attributes",
    "contact_info",
    "created_at",
    "deleted_at",
    "description",
    "dev_eui_counter",
    "ids",
    "join_server_address",
    "name",
    "network_server_address",
    "technical_contact",
    "updated_at",
]);
/// What anybody with a key may know.
const PUBLIC: [&str; 3] = ["ids", "created_at", "updated_at"];

const LINKS: Allowed =
    Allowed::all_of(&["api_key", "default_formatters", "network_server_address", "skip_payload_crypto", "tls"]);

fn not_found(app_id: &str) -> Failure {
    let format = "application with id `{application_id}` not found";
    let failure = Failure::new(Code::NotFound, "pkg/identityserver/store", "application_not_found", format);
    failure.with("application_id", app_id)
}

/// A message as one whose fields have names.
pub(super) fn dynamic(full_name: &str, message: &impl prost::Message) -> DynamicMessage {
    let mut dynamic = DynamicMessage::new(descriptor(full_name));
    // Cannot fail: both have the same definition.
    let _same = dynamic.transcode_from(message);
    dynamic
}

/// And back.
pub(super) fn typed<M: prost::Message + Default>(dynamic: &DynamicMessage) -> M {
    dynamic.transcode_to().unwrap_or_default()
}

fn paths(mask: Option<&prost_types::FieldMask>) -> &[String] {
    mask.map_or(&[], |mask| &mask.paths)
}

#[tonic::async_trait]
impl ApplicationRegistry for Servers {
    async fn get(&self, request: Request<GetApplicationRequest>) -> Result<Response<Application>, Status> {
        let needed = |request: &GetApplicationRequest| {
            let is_public = |path: &String| PUBLIC.contains(&path.split('.').next().unwrap_or_default());
            if paths(request.field_mask.as_ref()).iter().all(is_public) { Vec::new() } else { vec![INFO] }
        };
        let subject = |request: &GetApplicationRequest| of_application(request.application_ids.as_ref());
        let work = |request: GetApplicationRequest| {
            let paths = paths(request.field_mask.as_ref());
            GET.check(APPLICATION, paths)?;
            let app_id = of_application(request.application_ids.as_ref()).app_id;
            let mut registry = self.0.registry();
            let record = &registry.application(&app_id).ok_or_else(|| not_found(&app_id))?.record;
            let full = dynamic(APPLICATION, record);
            let mut shown = DynamicMessage::new(full.descriptor());
            copy(&full, &mut shown, PUBLIC.map(str::to_owned).iter().chain(paths));
            Ok(typed(&shown))
        };
        self.0.answer(request, "/ttn.lorawan.v3.ApplicationRegistry/Get", subject, needed, work).await
    }

    async fn delete(&self, request: Request<ApplicationIdentifiers>) -> Result<Response<()>, Status> {
        let work = |ids: ApplicationIdentifiers| {
            let app_id = ids.application_id;
            let mut registry = self.0.registry();
            let application = registry.application(&app_id).ok_or_else(|| not_found(&app_id))?;
            if !application.devices.is_empty() {
                let (name, count) = ("application_has_devices", application.devices.len());
                let format = "application still has `{count}` devices";
                let failure = Failure::new(Code::FailedPrecondition, "pkg/identityserver", name, format);
                return Err(failure.with("count", count.to_string()));
            }
            registry.remove_application(&app_id);
            Ok(())
        };
        let subject = |ids: &ApplicationIdentifiers| of_application(Some(ids));
        let method = "/ttn.lorawan.v3.ApplicationRegistry/Delete";
        self.0.answer(request, method, subject, |_| vec![DELETE], work).await
    }
}

#[tonic::async_trait]
impl ApplicationAccess for Servers {
    async fn list_rights(&self, request: Request<ApplicationIdentifiers>) -> Result<Response<Rights>, Status> {
        let metadata = request.metadata().clone();
        let work = |ids: ApplicationIdentifiers| {
            let rights = self.0.rights_of(&metadata, &ids.application_id)?;
            Ok(Rights { rights: rights.map(|rights| rights.expanded()).unwrap_or_default() })
        };
        let subject = |ids: &ApplicationIdentifiers| of_application(Some(ids));
        let method = "/ttn.lorawan.v3.ApplicationAccess/ListRights";
        self.0.answer(request, method, subject, |_| Vec::new(), work).await
    }
}

fn no_link() -> Failure {
    Failure::new(Code::NotFound, "pkg/redis", "not_found", "entity not found")
}

/// The fields of a link that a mask names.
fn shown(link: &ApplicationLink, paths: &[String]) -> ApplicationLink {
    let full = dynamic(LINK, link);
    let mut shown = DynamicMessage::new(full.descriptor());
    copy(&full, &mut shown, paths);
    typed(&shown)
}

#[tonic::async_trait]
impl As for Servers {
    async fn get_link(&self, request: Request<GetApplicationLinkRequest>) -> Result<Response<ApplicationLink>, Status> {
        let work = |request: GetApplicationLinkRequest| {
            let paths = paths(request.field_mask.as_ref());
            LINKS.check(LINK, paths)?;
            let app_id = of_application(request.application_ids.as_ref()).app_id;
            let mut registry = self.0.registry();
            let link = registry.application(&app_id).and_then(|application| application.link.as_ref());
            Ok(shown(link.ok_or_else(no_link)?, paths))
        };
        let subject = |request: &GetApplicationLinkRequest| of_application(request.application_ids.as_ref());
        self.0.answer(request, "/ttn.lorawan.v3.As/GetLink", subject, |_| vec![SETTINGS_BASIC], work).await
    }

    async fn set_link(&self, request: Request<SetApplicationLinkRequest>) -> Result<Response<ApplicationLink>, Status> {
        let work = |request: SetApplicationLinkRequest| {
            let paths = paths(request.field_mask.as_ref());
            LINKS.check(LINK, paths)?;
            let given = request.link.as_ref().and_then(|link| link.default_formatters.as_ref());
            let place = [("SetApplicationLinkRequest", "link"), ("ApplicationLink", "default_formatters")];
            formatter::check(given, &place)?;
            let app_id = of_application(request.application_ids.as_ref()).app_id;
            let mut registry = self.0.registry();
            let application = registry.application(&app_id).ok_or_else(|| not_found(&app_id))?;
            let mut link = dynamic(LINK, &application.link.clone().unwrap_or_default());
            copy(&dynamic(LINK, &request.link.unwrap_or_default()), &mut link, paths);
            let link = application.link.insert(typed(&link));
            Ok(shown(link, paths))
        };
        let subject = |request: &SetApplicationLinkRequest| of_application(request.application_ids.as_ref());
        self.0.answer(request, "/ttn.lorawan.v3.As/SetLink", subject, |_| vec![SETTINGS_BASIC], work).await
    }

    async fn delete_link(&self, request: Request<ApplicationIdentifiers>) -> Result<Response<()>, Status> {
        let work = |ids: ApplicationIdentifiers| {
            let mut registry = self.0.registry();
            let link = registry.application(&ids.application_id).and_then(|application| application.link.take());
            link.map(|_| ()).ok_or_else(no_link)
        };
        let subject = |ids: &ApplicationIdentifiers| of_application(Some(ids));
        self.0.answer(request, "/ttn.lorawan.v3.As/DeleteLink", subject, |_| vec![SETTINGS_BASIC], work).await
    }
}
