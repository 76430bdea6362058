//! Applications and devices in a file, so that a sandbox started again knows them.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::network::Network;
use crate::error::{Error, Result};

/// How often changes are looked for.
const INTERVAL: Duration = Duration::from_millis(200);

/// Write a file that its owner alone may read, since devices' keys are in it, down to the disk.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Put a file in another's place, so that after a power cut there is either the old one or the new one, whole.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    // The name is the directory's to keep; elsewhere than on Unix directories cannot be opened.
    #[cfg(unix)]
    {
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// The file.
#[derive(Debug)]
pub(in crate::sandbox) struct StateFile {
    path: PathBuf,
    network: Arc<Network>,
}

impl StateFile {
    /// Take in what the file has, if there is one.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when it cannot be read or understood.
    pub(in crate::sandbox) fn open(path: PathBuf, network: Arc<Network>) -> Result<Self> {
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

    /// Write everything: first beside the file, then in its place, so that it is whole at any moment.
    ///
    /// # Errors
    /// [`Error::Sandbox`] when it cannot be written.
    pub(in crate::sandbox) fn save(&self) -> Result<()> {
        let saved = self.network.registry().save().map_err(|error| self.failed("write", &error))?;
        let beside = self.path.with_extension("new");
        write_private(&beside, &saved)
            .and_then(|()| replace(&beside, &self.path))
            .map_err(|error| self.failed("write", &error))
    }

    /// Save changes soon after they are made, for ever.
    pub(in crate::sandbox) async fn follow(self: Arc<Self>) {
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
