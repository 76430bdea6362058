//! Who may log in to the operator's broker, and what each may see (CS 2.2): as Mosquitto with a list for each application.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rumqttc::Login;

use super::server::Server;
use crate::dialect::mqtt::covers;
use crate::ids::AccessKey;
use crate::sandbox::broker::{self, Grant, Guest, House, Router};
use crate::sandbox::fault::Faults;
use crate::sandbox::journal::Journal;
use crate::sandbox::listener::{Arrival, Service, Socket};
use crate::sandbox::room::Room;

/// Users of the broker. Without any, everybody may log in and see everything.
#[derive(Debug, Default)]
pub(super) struct Users(BTreeMap<String, (AccessKey, Option<String>)>);

impl Users {
    /// Add a user, of one application or of all.
    pub(super) fn add(&mut self, name: &str, password: AccessKey, application_id: Option<String>) {
        self.0.insert(name.to_owned(), (password, application_id));
    }

    /// What a login permits; `None` where it is refused.
    fn judge(&self, login: Option<&Login>) -> Option<Anyone> {
        if self.0.is_empty() {
            return Some(Anyone { application_id: None });
        }
        let login = login?;
        let (password, application_id) = self.0.get(&login.username)?;
        (password.reveal() == login.password).then(|| Anyone { application_id: application_id.clone() })
    }
}

/// A list that names one application, or all.
#[derive(Debug)]
struct Anyone {
    application_id: Option<String>,
}

impl Anyone {
    fn reaches(&self, topic: &str) -> bool {
        let Some(application_id) = &self.application_id else { return true };
        let rest = topic.strip_prefix("application/").and_then(|rest| rest.strip_prefix(application_id.as_str()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Grant for Anyone {
    /// Every subscription is granted (seen): the list is asked for each message.
    fn may_subscribe(&self, _: &str) -> bool {
        true
    }

    fn may_receive(&self, topic: &str) -> bool {
        self.reaches(topic)
    }

    fn may_publish(&self, topic: &str) -> bool {
        self.reaches(topic)
    }
}

/// Not authorised: what Mosquitto says of a user that it does not know.
const REFUSED: u8 = 5;

impl House for Server {
    fn router(&self) -> &Router {
        &self.router
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn admit(&self, login: Option<&Login>, shown: Option<&[u8]>) -> Result<Guest, u8> {
        // As with `use_identity_as_username`: what the login says does not matter then.
        if let Some(application_id) = shown.and_then(|shown| self.authority.application(shown)) {
            let grant = Box::new(Anyone { application_id: Some(application_id.clone()) });
            return Ok(Guest { name: application_id, realm: String::new(), grant });
        }
        let grant = self.users.lock().judge(login).ok_or(REFUSED)?;
        let name = login.map(|login| login.username.clone()).unwrap_or_default();
        Ok(Guest { name, realm: String::new(), grant: Box::new(grant) })
    }

    fn take(&self, topic: &str, payload: &Bytes) {
        let topics = &self.settings.topics;
        if covers(&topics.of_server("application/+/device/+/command/+"), topic) {
            self.arrive(topics.by_default(topic).as_deref().unwrap_or(topic), payload);
        }
    }
}

impl Service for Server {
    fn refuses_connections(&self) -> bool {
        self.faults.refuses_connections()
    }

    fn room(&self) -> &Arc<Room> {
        &self.room
    }

    async fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival)
    where
        S: Socket,
    {
        broker::serve(stream, &self, arrival).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reaches_its_application() {
        let own = Anyone { application_id: Some("a1".into()) };
        assert!(own.may_receive("application/a1/device/x/event/up") && own.may_publish("application/a1/x"));
        assert!(!own.may_receive("application/a12/device/x/event/up") && !own.may_publish("eu868/gateway/x"));
        assert!(own.may_subscribe("#") && Anyone { application_id: None }.may_receive("eu868/gateway/x"));
    }

    #[test]
    fn users_are_asked_for_as_soon_as_there_are_some() {
        let login = |username: &str, password: &str| Login { username: username.into(), password: password.into() };
        let mut users = Users::default();
        assert!(users.judge(None).is_some() && users.judge(Some(&login("x", "y"))).is_some());
        users.add("ann", AccessKey::new("secret"), Some("a1".into()));
        assert!(users.judge(None).is_none() && users.judge(Some(&login("ann", "wrong"))).is_none());
        assert_eq!(users.judge(Some(&login("ann", "secret"))).unwrap().application_id.as_deref(), Some("a1"));
    }
}
