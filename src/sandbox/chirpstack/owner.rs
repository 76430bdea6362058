//! What the owner of the server does: applications, API keys, and who may log in to the broker.

use super::ids::new_uuid;
use super::key::{Key, key_id, token};
use super::registry::Kept;
use super::sandbox::Sandbox;
use crate::error::{Error, Result};
use crate::ids::AccessKey;
use crate::rpc::proto::chirpstack::api;

/// What an API key permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Everything within the tenant.
    Tenant,
    /// Everything.
    Admin,
    /// To read within the tenant.
    ReadOnly,
}

impl KeyKind {
    /// By its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another one.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "tenant" => Ok(Self::Tenant),
            "admin" => Ok(Self::Admin),
            "read-only" => Ok(Self::ReadOnly),
            _ => Err(Error::invalid("kind", name, "\"tenant\", \"admin\" or \"read-only\"")),
        }
    }
}

impl Sandbox {
    /// The ID of the tenant that applications belong to.
    #[must_use]
    pub fn tenant_id(&self) -> String {
        self.server.registry().tenant_id.clone()
    }

    /// The ID of an application, by its name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn application_id(&self, app_id: &str) -> Result<String> {
        self.server.registry().known_application(app_id)
    }

    /// Make an API key.
    #[must_use]
    pub fn api_key(&self, kind: KeyKind) -> String {
        let id = new_uuid(&mut self.server.random());
        self.add_key(&id, kind);
        token(&id)
    }

    fn add_key(&self, id: &str, kind: KeyKind) {
        let tenant_id = (kind != KeyKind::Admin).then(|| self.tenant_id());
        let key = Key { tenant_id, is_read_only: kind == KeyKind::ReadOnly, name: "sandbox".to_owned() };
        self.server.keys.lock().add(id, key);
    }

    /// Register an application if it is new, and a key of the tenant.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none, or a key that the sandbox has not signed.
    pub fn add_application(&self, app_id: &str, key: &AccessKey, kind: KeyKind) -> Result<()> {
        if app_id.is_empty() || app_id.chars().count() > 100 {
            return Err(Error::invalid("app_id", app_id, "a name of 1 to 100 characters"));
        }
        let is_known = self.server.registry().application_id(app_id).is_some();
        match key_id(key.reveal()) {
            Some(id) => self.add_key(&id, kind),
            None if self.options.any_key => {}
            None => {
                let expected = "an API key of the sandbox, such as its access_key or one of its api_key()";
                return Err(Error::invalid("access_key", "***", expected));
            }
        }
        if !is_known {
            let id = new_uuid(&mut self.server.random());
            let mut registry = self.server.registry();
            let application = api::Application {
                id: id.clone(),
                name: app_id.to_owned(),
                tenant_id: registry.tenant_id.clone(),
                ..api::Application::default()
            };
            registry.applications.insert(id, Kept::new(application));
        }
        Ok(())
    }

    /// Let a user log in to the broker: from then on nobody else may. With an application it sees that one alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an application that there is not.
    pub fn add_user(&self, name: &str, password: AccessKey, app_id: Option<&str>) -> Result<()> {
        let application_id = app_id.map(|app_id| self.application_id(app_id)).transpose()?;
        self.server.users.lock().add(name, password, application_id);
        Ok(())
    }

    /// A client certificate of an application, and its key, as PEM texts.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an application that there is not.
    pub fn client_certificate(&self, app_id: &str) -> Result<(String, String)> {
        let (signed, _) = self.server.authority.sign(&self.application_id(app_id)?)?;
        Ok((signed.pem, signed.key_pem))
    }
}
