//! From a published message to everyone who should get it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::session::{Login, Session};
use crate::sync::Mutex;

/// The connections.
#[derive(Debug, Default)]
pub(in crate::sandbox::v3) struct Router {
    sessions: Mutex<BTreeMap<u64, Arc<Session>>>,
    serial: AtomicU64,
}

impl Router {
    /// A client logs in; others that call themselves so stay.
    pub(super) fn open(&self, login: Login, ask: mpsc::UnboundedSender<oneshot::Sender<()>>) -> Arc<Session> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let session = Arc::new(Session::new(serial, login, ask));
        self.sessions.lock().insert(serial, session.clone());
        session
    }

    pub(super) fn close(&self, session: &Session) {
        self.sessions.lock().remove(&session.serial);
    }

    /// Hand a message to the clients of an application.
    pub(in crate::sandbox::v3) fn publish(&self, uid: &str, topic: &str, payload: &Bytes, delay: Duration) {
        // Under the lock, so that every client gets messages in the order of publishing.
        for session in self.sessions.lock().values().filter(|session| session.uid == uid) {
            session.push(topic, payload, delay);
        }
    }

    /// Cut the connections of one client, or of all; tells how many there were.
    pub(in crate::sandbox::v3) fn cut(&self, client_id: Option<&str>) -> usize {
        let sessions = self.sessions.lock();
        let chosen = sessions.values().filter(|session| client_id.is_none_or(|id| id == session.client_id));
        chosen.map(|session| session.evict.notify_one()).count()
    }

    /// Identifiers of connected clients, sorted.
    pub(in crate::sandbox::v3) fn connected(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.sessions.lock().values().map(|session| session.client_id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Messages that wait for the clients of this name.
    pub(in crate::sandbox::v3) fn backlog(&self, client_id: &str) -> usize {
        let sessions = self.sessions.lock();
        sessions.values().filter(|session| session.client_id == client_id).map(|session| session.backlog()).sum()
    }

    /// Wait until everything that an application's clients have written by now is handled.
    pub(in crate::sandbox::v3) async fn take_in(&self, app_id: &str) {
        let told: Vec<_> = {
            let sessions = self.sessions.lock();
            sessions.values().filter(|session| session.app_id == app_id).filter_map(|session| session.ask()).collect()
        };
        for told in told {
            // A connection that ended meanwhile handles nothing more.
            let _ended = told.await;
        }
    }
}
