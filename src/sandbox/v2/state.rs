//! Applications and devices in a file, so that a sandbox started again knows them.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::network::Network;
use crate::error::{Error, Result};
use crate::file;

/// How often changes are looked for.
const INTERVAL: Duration = Duration::from_millis(200);

/// Devices' keys are in it: it is its owner's alone to read.
const MODE: u32 = 0o600;

/// The file.
#[derive(Debug)]
pub(in crate::sandbox::v2) struct StateFile {
    path: PathBuf,
    network: Arc<Network>,
}

impl StateFile {
    /// Take in what the file has, if there is one.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when it cannot be read or understood.
    pub(in crate::sandbox::v2) fn open(path: PathBuf, network: Arc<Network>) -> Result<Self> {
        let file = Self { path, network };
        match fs::read(&file.path) {
            Ok(saved) => file.network.registry().load(&saved).map_err(|error| file.failed("read", &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => file.save()?,
            Err(error) => return Err(file.failed("read", &error)),
        }
        Ok(file)
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> Error {
        Error::Sandbox { reason: format!("cannot {what} the state file {}: {error}", self.path.display()) }
    }

    /// Write everything. The file is whole at any moment.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when it cannot be written.
    pub(in crate::sandbox::v2) fn save(&self) -> Result<()> {
        let saved = self.network.registry().save().map_err(|error| self.failed("write", &error))?;
        file::replace(&self.path, &saved, MODE).map_err(|error| self.failed("write", &error))
    }

    /// Save changes soon after they are made, for ever.
    pub(in crate::sandbox::v2) async fn follow(self: Arc<Self>) {
        let mut saved = self.network.registry().version();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let version = self.network.registry().version();
            if version == saved {
                continue;
            }
            saved = version;
            let file = self.clone();
            let outcome = tokio::task::spawn_blocking(move || file.save()).await;
            if let Ok(Err(error)) = outcome {
                tracing::error!(%error, "the sandbox's state is not saved");
            }
        }
    }
}
