//! Applications' formatters at the Application Server, and what it offers.

use prost_reflect::{DynamicMessage, ReflectMessage as _};
use tonic::{Code, Request, Response, Status};

use super::application::not_found;
use super::mask::{Allowed, copy, dynamic, paths, typed};
use super::{Servers, of_application};
use crate::rpc::proto::v3::as_configuration::pub_sub::Providers;
use crate::rpc::proto::v3::as_configuration::pub_sub::providers::Status as ProviderStatus;
use crate::rpc::proto::v3::as_configuration::{PubSub, Webhooks};
use crate::rpc::proto::v3::as_server::As;
use crate::rpc::proto::v3::{
    ApplicationIdentifiers, ApplicationLink, AsConfiguration, GetApplicationLinkRequest, GetAsConfigurationRequest,
    GetAsConfigurationResponse, SetApplicationLinkRequest,
};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::formatter;
use crate::sandbox::v3::right::SETTINGS_BASIC;

const LINK: &str = "ttn.lorawan.v3.ApplicationLink";

const LINKS: Allowed =
    Allowed::all_of(&["api_key", "default_formatters", "network_server_address", "skip_payload_crypto", "tls"]);

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
            // The whole of it, whatever was set (seen).
            Ok(application.link.insert(typed(&link)).clone())
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

    /// Neither Pub/Sub nor webhooks are served here: programs are told so, where a real stack has both.
    async fn get_configuration(
        &self,
        request: Request<GetAsConfigurationRequest>,
    ) -> Result<Response<GetAsConfigurationResponse>, Status> {
        let work = |_| {
            let off = ProviderStatus::Disabled.into();
            let configuration = AsConfiguration {
                pubsub: Some(PubSub { providers: Some(Providers { mqtt: off, nats: off }) }),
                webhooks: Some(Webhooks {
                    unhealthy_attempts_threshold: 0,
                    unhealthy_retry_interval: Some(prost_types::Duration::default()),
                }),
            };
            Ok(GetAsConfigurationResponse { configuration: Some(configuration) })
        };
        let method = "/ttn.lorawan.v3.As/GetConfiguration";
        self.0.answer(request, method, |_| of_application(None), |_| Vec::new(), work).await
    }
}
