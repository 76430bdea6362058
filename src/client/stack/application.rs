//! An application: what it is called, its payload formatters, its rights, its end (V3 3.4.1 to 3.4.3).

use bytes::Bytes;
use prost::Message as _;

use super::formatters::functions_of;
use super::queue::settings;
use super::right::grants;
use super::{Stack, mask};
use crate::client::managed::{Functions, NOT_VALID, code_of, tolerate_absence};
use crate::error::{Error, Result, RpcCode};
use crate::rpc::from_struct;
use crate::rpc::proto::{handler, v3};

const FIELDS: [&str; 6] = [
    "name",
    "description",
    "attributes",
    "network_server_address",
    "application_server_address",
    "join_server_address",
];
const FORMATTERS: [&str; 4] = [
    "default_formatters.up_formatter",
    "default_formatters.up_formatter_parameter",
    "default_formatters.down_formatter",
    "default_formatters.down_formatter_parameter",
];

/// An application, from its servers.
#[derive(Clone, Debug)]
pub struct Application {
    /// The Identity Server's message, as it came.
    pub message: Bytes,
    /// The Application Server's, as it came; none where no link was ever set.
    pub link: Option<Bytes>,
    /// What that has of payload functions.
    pub functions: Functions,
}

/// The right to delete an application.
const DELETE: &str = "RIGHT_APPLICATION_DELETE";

impl Stack {
    /// What the servers have of the application.
    ///
    /// # Errors
    /// What the servers say.
    pub async fn application(&self) -> Result<Application> {
        let request =
            v3::GetApplicationRequest { application_ids: Some(self.application_ids()), field_mask: mask(FIELDS) };
        let reply = self.reply("ApplicationRegistry", "Get", &request).await?;
        let link = self.link().await?;
        let functions = functions(link.as_ref())?;
        Ok(Application { message: reply.message, link, functions })
    }

    /// Whether there is such an application: the error says that there is none.
    ///
    /// # Errors
    /// What the Identity Server says.
    pub async fn look_for_application(&self) -> Result<()> {
        let request = v3::GetApplicationRequest { application_ids: Some(self.application_ids()), field_mask: None };
        self.tell("ApplicationRegistry", "Get", &request).await
    }

    /// The rights of the key, by their names; a number for those that are not known here.
    ///
    /// # Errors
    /// What the Identity Server says.
    pub async fn rights(&self) -> Result<Vec<String>> {
        let rights: v3::Rights = self.call("ApplicationAccess", "ListRights", &self.application_ids()).await?;
        let name = |right: i32| {
            v3::Right::try_from(right).map_or_else(|_| right.to_string(), |right| right.as_str_name().into())
        };
        Ok(rights.rights.into_iter().map(name).collect())
    }

    /// The payload functions; none where no link was ever set.
    ///
    /// # Errors
    /// What the Application Server says.
    pub async fn functions(&self) -> Result<Functions> {
        functions(self.link().await?.as_ref())
    }

    async fn link(&self) -> Result<Option<Bytes>> {
        let application_ids = Some(self.application_ids());
        let request = v3::GetApplicationLinkRequest { application_ids, field_mask: mask(["default_formatters"]) };
        match self.reply("As", "GetLink", &request).await {
            Ok(reply) => Ok(Some(reply.message)),
            Err(error) if code_of(&error) == Some(RpcCode::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Read the payload functions, change them, write them: what is not mentioned stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] for functions that do not go together, and what the Application Server says.
    pub async fn change_functions(&self, change: impl FnOnce(&mut Functions)) -> Result<()> {
        let mut functions = self.functions().await?;
        change(&mut functions);
        let link = v3::ApplicationLink { default_formatters: Some(functions.formatters()?) };
        let request = v3::SetApplicationLinkRequest {
            application_ids: Some(self.application_ids()),
            link: Some(link),
            field_mask: mask(FORMATTERS),
        };
        self.tell("As", "SetLink", &request).await
    }

    /// Delete the application with all its devices. It cannot be registered again under its ID until it is purged.
    ///
    /// # Errors
    /// What the servers say; [`Error::Rpc`] before anything is deleted, for a key that may delete devices and not the
    /// application.
    pub async fn unregister(&self) -> Result<()> {
        if !grants(&self.rights().await?, DELETE) {
            return Err(Error::rpc(
                RpcCode::PermissionDenied,
                format!("the key has no {DELETE}, which deleting the application needs: nothing was deleted"),
            ));
        }
        let (devices, _) = self.devices(None, 0).await?;
        for device in devices {
            tolerate_absence(self.delete(&device.ids()).await)?;
        }
        tolerate_absence(self.tell("As", "DeleteLink", &self.application_ids()).await)?;
        self.tell("ApplicationRegistry", "Delete", &self.application_ids()).await
    }

    /// Have functions decode an uplink, without storing anything; those of the application if none are given.
    ///
    /// # Errors
    /// [`Error::Invalid`] for functions that do not go together, and what the Application Server says: a script that throws
    /// is an error, one whose validator returns false is not.
    pub async fn dry_uplink(
        &self,
        payload: &[u8],
        port: u32,
        given: Option<Functions>,
    ) -> Result<handler::DryUplinkResult> {
        let formatters = self.or_own(given).await?.formatters()?;
        let uplink = v3::ApplicationUplink {
            f_port: port,
            frm_payload: payload.to_vec(),
            settings: Some(settings(self.defaults.frequency_plan_id.as_deref())),
            ..v3::ApplicationUplink::default()
        };
        let request = v3::DecodeUplinkRequest {
            // It is asked for, and need not be one that exists.
            end_device_ids: Some(self.device_ids("dry-run")),
            version_ids: None,
            uplink: Some(uplink),
            formatter: formatters.up_formatter,
            parameter: formatters.up_formatter_parameter,
        };
        let mut result = handler::DryUplinkResult { payload: payload.to_vec(), ..handler::DryUplinkResult::default() };
        match self.call::<v3::DecodeUplinkResponse>("AppAs", "DecodeUplink", &request).await {
            Ok(answer) => {
                let decoded = answer.uplink.and_then(|uplink| uplink.decoded_payload);
                result.fields = decoded
                    .map(|decoded| serde_json::Value::Object(from_struct(decoded)).to_string())
                    .unwrap_or_default();
                result.valid = true;
                Ok(result)
            }
            Err(error) if is_not_valid(&error) => Ok(result),
            Err(error) => Err(error),
        }
    }

    /// Have functions encode a downlink, without storing anything; those of the application if none are given.
    ///
    /// # Errors
    /// As [`Stack::dry_uplink`].
    pub async fn dry_downlink(
        &self,
        downlink: v3::ApplicationDownlink,
        given: Option<Functions>,
    ) -> Result<handler::DryDownlinkResult> {
        let formatters = self.or_own(given).await?.formatters()?;
        let request = v3::EncodeDownlinkRequest {
            end_device_ids: Some(self.device_ids("dry-run")),
            version_ids: None,
            downlink: Some(downlink),
            formatter: formatters.down_formatter,
            parameter: formatters.down_formatter_parameter,
        };
        let answer: v3::EncodeDownlinkResponse = self.call("AppAs", "EncodeDownlink", &request).await?;
        let payload = answer.downlink.map(|downlink| downlink.frm_payload).unwrap_or_default();
        Ok(handler::DryDownlinkResult { payload, logs: Vec::new() })
    }

    async fn or_own(&self, given: Option<Functions>) -> Result<Functions> {
        match given {
            Some(functions) => Ok(functions),
            None => self.functions().await,
        }
    }
}

fn functions(link: Option<&Bytes>) -> Result<Functions> {
    let Some(link) = link else { return Ok(Functions::default()) };
    let link = v3::ApplicationLink::decode(link.clone()).map_err(|error| Error::Malformed {
        message: "ttn.lorawan.v3.ApplicationLink".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(functions_of(&link.default_formatters.unwrap_or_default()))
}

/// Whether it is the validator's word that a decoder's run ended with.
fn is_not_valid(error: &Error) -> bool {
    let Error::Rpc { details, reported: Some(reported), .. } = error else { return false };
    let attributes = serde_json::Value::Object(reported.attributes.clone()).to_string();
    reported.name == "output_errors" && (details.contains(NOT_VALID) || attributes.contains(NOT_VALID))
}
