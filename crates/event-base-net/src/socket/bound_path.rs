//! The path of a unix socket that this process bound.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::address::Address;
use crate::failure::{Result, from_io};

/// The path of a socket that was just bound. It is removed when this is dropped, unless the path names another file by
/// then.
///
/// The socket stays open until the path is removed. While it is open, no other file can have its inode number, which
/// file systems such as ext4 reuse.
#[derive(Debug)]
pub struct BoundPath {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    _socket: OwnedFd,
}

impl BoundPath {
    /// The path of `socket`, which was bound to `address`. `None` for a socket that has no path in the file system, or
    /// whose path was removed already.
    ///
    /// # Errors
    /// `lstat`: `EACCES`, `ENOTDIR`, ...; `fcntl`: `EMFILE`, and the path is removed.
    pub fn of(socket: impl AsFd, address: &Address) -> Result<Option<Self>> {
        let Address::Path(path) = address else { return Ok(None) };
        if path.first() == Some(&0) {
            return Ok(None);
        }
        let path = PathBuf::from(OsStr::from_bytes(path));
        let Some(identity) = identity(&path)? else { return Ok(None) };
        match socket.as_fd().try_clone_to_owned() {
            Ok(socket) => Ok(Some(BoundPath { path, identity, _socket: socket })),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(from_io(&error, "fcntl", None))
            }
        }
    }

    /// Removes the path, unless it names another file.
    ///
    /// # Errors
    /// `lstat` and `unlink`: `EACCES`, `EROFS`, `ENOTDIR`, .... The path then stays, as it does after a process was
    /// killed.
    pub fn remove(self) -> Result<()> {
        self.unlink()
    }

    fn unlink(&self) -> Result<()> {
        if identity(&self.path)? != Some(self.identity) {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(from_io(&error, "unlink", None)),
            _ => Ok(()),
        }
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        let _ = self.unlink();
    }
}

/// The device and the inode of a path; `None` where it names no file.
fn identity(path: &PathBuf) -> Result<Option<(u64, u64)>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(from_io(&error, "lstat", None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{BindOptions, listen};

    #[test]
    fn removing_a_path_that_was_removed_already_is_no_error() {
        let path = std::env::temp_dir().join(format!("event-base-bound-path-{}", std::process::id()));
        let address = Address::path(path.to_str().unwrap()).unwrap();
        let socket = listen(&address, &BindOptions::default()).unwrap();
        let bound = BoundPath::of(&socket, &address).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(BoundPath::of(&socket, &address).unwrap().is_none());
        assert_eq!(bound.remove(), Ok(()));
    }
}
