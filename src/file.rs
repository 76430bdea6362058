//! Files that are whole at any moment: the old content or the new one, also after a power cut.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

/// How many names are tried for the file that is written first.
const NAMES: usize = 16;
/// What a file's mode may say of it; not whose rights a program of that name would get.
#[cfg(unix)]
const RIGHTS: u32 = 0o777;

/// Put a file with this content in the place of what is there, if anything.
///
/// It is written down to the disk first, under a name that nobody can foretell and that was nobody's before, in the same
/// directory. A file that is there lends the new one its rights; a new one has those of `mode`, less what the process
/// withholds. Where there is a link to something, that is replaced and the link stays; a link to nothing is replaced.
/// What is no file (a terminal, a pipe) is written to.
///
/// # Errors
/// Whatever the system says; then what was there is there as before.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let resolved = fs::canonicalize(path);
    let path = resolved.as_deref().unwrap_or(path);
    let there = match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => Some(there.permissions()),
        Ok(there) if there.is_symlink() => None,
        Ok(_) => return OpenOptions::new().write(true).open(path)?.write_all(content),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (beside, file) = create_in(directory, mode)?;
    let outcome = fill(file, content, there).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = outcome {
        // What went wrong first is what to tell.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    // The name is the directory's to keep; elsewhere than on Unix directories cannot be opened.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

/// Make a file of a name that was nobody's: not even a link is followed.
fn create_in(directory: &Path, mode: u32) -> io::Result<(std::path::PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode & RIGHTS);
    let mut tried = 0;
    loop {
        let path = directory.join(format!(".{:016x}.new", fastrand::u64(..)));
        tried += 1;
        match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && tried < NAMES => {}
            outcome => return outcome.map(|file| (path, file)),
        }
    }
}

fn fill(mut file: File, content: &[u8], rights: Option<Permissions>) -> io::Result<()> {
    if let Some(rights) = rights {
        #[cfg(unix)]
        let rights = {
            use std::os::unix::fs::PermissionsExt as _;
            Permissions::from_mode(rights.mode() & RIGHTS)
        };
        file.set_permissions(rights)?;
    }
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// A directory of its own for each test, gone afterwards.
    struct Room(std::path::PathBuf);

    impl Room {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("thingslink-{:016x}", fastrand::u64(..)));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Room {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn rights(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & RIGHTS
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_else_is_left() {
        let room = Room::new();
        let path = room.0.join("state");
        replace(&path, b"one", 0o600).unwrap();
        assert_eq!((fs::read(&path).unwrap(), rights(&path)), (b"one".to_vec(), 0o600));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        // Who has the old one open keeps it, whole.
        let old = fs::read_to_string(&path).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!((fs::read(&path).unwrap(), rights(&path), old.as_str()), (b"two".to_vec(), 0o640, "one"));
        assert_eq!(room.names(), ["state"]);
    }

    #[test]
    fn links_that_were_laid_beside_it_are_not_followed() {
        let room = Room::new();
        let (path, other) = (room.0.join("state.json"), room.0.join("other"));
        fs::write(&other, "another's").unwrap();
        for name in ["state.new", "state.json.new", ".state.json.new"] {
            symlink(&other, room.0.join(name)).unwrap();
        }
        replace(&path, b"ours", 0o600).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"another's");
        assert_eq!(room.names(), [".state.json.new", "other", "state.json", "state.json.new", "state.new"]);
    }

    #[test]
    fn a_link_stays_and_what_it_names_is_replaced_unless_it_names_nothing() {
        let room = Room::new();
        let (link, real) = (room.0.join("link"), room.0.join("real"));
        fs::write(&real, "old").unwrap();
        symlink("real", &link).unwrap();
        replace(&link, b"new", 0o600).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        fs::remove_file(&real).unwrap();
        replace(&link, b"here", 0o600).unwrap();
        assert!(!link.is_symlink() && !real.exists());
        assert_eq!(fs::read(&link).unwrap(), b"here");
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing_beside_it() {
        let room = Room::new();
        let path = room.0.join("folder");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"x", 0o600).is_err());
        assert_eq!(replace(&room.0.join("none").join("file"), b"x", 0o600).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(room.names(), ["folder"]);
        replace(Path::new("/dev/null"), b"x", 0o600).unwrap();
    }
}
