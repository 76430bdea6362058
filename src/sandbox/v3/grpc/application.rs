//! Applications at the Identity Server.

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};

use super::check::{check_application, check_application_ids};
use super::mask::{Allowed, copy, dynamic, paths, typed};
use super::page::{Asked, sortable};
use super::{Servers, of_application};
use crate::rpc::proto::v3::application_registry_server::ApplicationRegistry;
use crate::rpc::proto::v3::organization_or_user_identifiers::Ids;
use crate::rpc::proto::v3::{
    Application, ApplicationIdentifiers, Applications, CreateApplicationRequest, GetApplicationRequest,
    IssueDevEuiResponse, ListApplicationsRequest, UpdateApplicationRequest,
};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::key::Owner;
use crate::sandbox::v3::record::now;
use crate::sandbox::v3::right::{DELETE, DEVICES_WRITE, INFO, SETTINGS_BASIC};

const APPLICATION: &str = "ttn.lorawan.v3.Application";

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
const UPDATE: Allowed = Allowed { fields: GET.fields, only_below: &["dev_eui_counter"] };
/// What anybody with a key may know.
const PUBLIC: [&str; 3] = ["ids", "created_at", "updated_at"];
/// What an update leaves as it is.
const KEPT: [&str; 2] = ["ids", "created_at"];

pub(super) fn not_found(app_id: &str) -> Failure {
    let format = "application with id `{application_id}` not found";
    let failure = Failure::new(Code::NotFound, "pkg/identityserver/store", "application_not_found", format);
    failure.with("application_id", app_id)
}

/// An ID that is in use, or was.
pub(super) fn id_taken() -> Failure {
    let cause = Failure::new(Code::AlreadyExists, "pkg/util/store", "already_exists", "already exists");
    let format = "ID already taken, choose a different one and try again";
    Failure::new(Code::AlreadyExists, "pkg/util/store", "id_taken", format).because(cause)
}

/// What a mask names of an application, and what everybody may know.
fn shown(record: &Application, paths: &[String]) -> Application {
    let full = dynamic(APPLICATION, record);
    let mut shown = dynamic(APPLICATION, &Application::default());
    copy(&full, &mut shown, PUBLIC.map(str::to_owned).iter().chain(paths));
    typed(&shown)
}

impl Servers {
    /// Make an application for a user; there are no organizations here.
    fn create_application(
        &self,
        metadata: &MetadataMap,
        request: CreateApplicationRequest,
    ) -> Result<Application, Failure> {
        let given = request.application.unwrap_or_default();
        check_application(&given, "CreateApplicationRequest")?;
        match request.collaborator.as_ref().and_then(|collaborator| collaborator.ids.as_ref()) {
            Some(Ids::UserIds(user)) => self.0.check_user(metadata, &user.user_id)?,
            Some(Ids::OrganizationIds(organization)) => {
                let (name, format) = ("no_organization_rights", "no rights for organization `{uid}`");
                let failure = Failure::new(Code::PermissionDenied, "pkg/auth/rights", name, format);
                return Err(failure.with("uid", &organization.organization_id));
            }
            None => {
                return Err(Failure::invalid(&[("CreateApplicationRequest", "collaborator")], "value is required"));
            }
        }
        let record = Application {
            administrative_contact: given.administrative_contact.or_else(|| request.collaborator.clone()),
            technical_contact: given.technical_contact.or(request.collaborator),
            dev_eui_counter: 0,
            ..given
        };
        self.0.registry().create_application(record).cloned().ok_or_else(id_taken)
    }

    /// A page, and how many applications there are in all. An application's key has none in its list.
    fn list_applications(
        &self,
        metadata: &MetadataMap,
        request: &ListApplicationsRequest,
    ) -> Result<(Applications, Option<usize>), Failure> {
        let paths = paths(request.field_mask.as_ref());
        GET.check(APPLICATION, paths)?;
        let owners = self.0.owners(metadata)?;
        if !owners.iter().flatten().any(|(owner, _)| matches!(owner, Owner::User(_))) {
            return match request.collaborator.as_ref().and_then(|collaborator| collaborator.ids.as_ref()) {
                Some(Ids::UserIds(user)) => {
                    self.0.check_user(metadata, &user.user_id).map(|()| (Applications::default(), None))
                }
                _ => Ok((Applications::default(), None)),
            };
        }
        let registry = self.0.registry();
        let order = |record: &&Application, field: &str| match field {
            "name" => record.name.clone().into_bytes(),
            "created_at" => sortable(record.created_at),
            _ => record.ids.clone().unwrap_or_default().application_id.into_bytes(),
        };
        let (limit, page) = (request.limit, request.page);
        let asked = Asked { of: "ListApplicationsRequest", order: &request.order, limit, page };
        let (records, total) = asked.of(registry.applications().collect(), order)?;
        let applications = records.into_iter().map(|record| shown(record, paths)).collect();
        Ok((Applications { applications }, Some(total)))
    }

    fn update_application(&self, request: UpdateApplicationRequest) -> Result<Application, Failure> {
        let paths = paths(request.field_mask.as_ref());
        UPDATE.check(APPLICATION, paths)?;
        let given = request.application.unwrap_or_default();
        check_application(&given, "UpdateApplicationRequest")?;
        let app_id = of_application(given.ids.as_ref()).app_id;
        let mut registry = self.0.registry();
        let record = &mut registry.application(&app_id).ok_or_else(|| not_found(&app_id))?.record;
        if !paths.is_empty() {
            let mut changed = dynamic(APPLICATION, record);
            let is_written = |path: &&String| !KEPT.contains(&path.split('.').next().unwrap_or_default());
            copy(&dynamic(APPLICATION, &given), &mut changed, paths.iter().filter(is_written));
            *record = Application { updated_at: Some(now()), ..typed(&changed) };
        }
        Ok(shown(record, paths))
    }

    /// An EUI for a device, as hosted stacks give them; a stack of one's own has none to give.
    fn issue_dev_eui(&self, ids: &ApplicationIdentifiers) -> Result<IssueDevEuiResponse, Failure> {
        let mut registry = self.0.registry();
        if registry.tenant().is_none() {
            let (name, format) = ("dev_eui_issuing_not_enabled", "DevEUI issuing not configured");
            return Err(Failure::new(Code::InvalidArgument, "pkg/identityserver", name, format));
        }
        let dev_eui = registry.issue_eui(&ids.application_id).ok_or_else(|| not_found(&ids.application_id))?;
        Ok(IssueDevEuiResponse { dev_eui: dev_eui.to_vec() })
    }
}

#[tonic::async_trait]
impl ApplicationRegistry for Servers {
    async fn create(&self, request: Request<CreateApplicationRequest>) -> Result<Response<Application>, Status> {
        let method = "/ttn.lorawan.v3.ApplicationRegistry/Create";
        let work = |metadata: &MetadataMap, request| self.create_application(metadata, request);
        self.0.answer_anybody(request, method, |_| of_application(None), work).await
    }

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
            let application = registry.application(&app_id).ok_or_else(|| not_found(&app_id))?;
            Ok(shown(&application.record, paths))
        };
        self.0.answer(request, "/ttn.lorawan.v3.ApplicationRegistry/Get", subject, needed, work).await
    }

    async fn list(&self, request: Request<ListApplicationsRequest>) -> Result<Response<Applications>, Status> {
        let method = "/ttn.lorawan.v3.ApplicationRegistry/List";
        let mut total = None;
        let work = |metadata: &MetadataMap, request: ListApplicationsRequest| {
            let (page, all) = self.list_applications(metadata, &request)?;
            total = all;
            Ok(page)
        };
        let mut response = self.0.answer_anybody(request, method, |_| of_application(None), work).await?;
        if let Some(total) = total {
            response.metadata_mut().insert("x-total-count", MetadataValue::from(total as u64));
        }
        Ok(response)
    }

    async fn update(&self, request: Request<UpdateApplicationRequest>) -> Result<Response<Application>, Status> {
        let subject = |request: &UpdateApplicationRequest| {
            of_application(request.application.as_ref().and_then(|application| application.ids.as_ref()))
        };
        let method = "/ttn.lorawan.v3.ApplicationRegistry/Update";
        let work = |request| self.update_application(request);
        self.0.answer(request, method, subject, |_| vec![SETTINGS_BASIC], work).await
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

    async fn issue_dev_eui(
        &self,
        request: Request<ApplicationIdentifiers>,
    ) -> Result<Response<IssueDevEuiResponse>, Status> {
        let work = |ids: ApplicationIdentifiers| {
            check_application_ids(Some(&ids), &[])?;
            Self::issue_dev_eui(self, &ids)
        };
        let subject = |ids: &ApplicationIdentifiers| of_application(Some(ids));
        let method = "/ttn.lorawan.v3.ApplicationRegistry/IssueDevEUI";
        self.0.answer(request, method, subject, |_| vec![DEVICES_WRITE], work).await
    }
}
