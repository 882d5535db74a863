//! The path of a unix socket that a proxy bound.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::address::Address;
use crate::failure::{Result, from_io};

/// Removes the path when it is dropped, unless the path names another file by then.
///
/// The socket stays open until the path is removed. While it is open, no other file can have its inode number, which
/// file systems such as ext4 reuse.
#[derive(Debug)]
pub(super) struct BoundPath {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    _socket: OwnedFd,
}

impl BoundPath {
    /// `None` for a socket that has no path in the file system.
    ///
    /// # Errors
    /// `fcntl`: `EMFILE`.
    pub(super) fn of(socket: impl AsFd, address: &Address) -> Result<Option<Self>> {
        let Address::Path(path) = address else { return Ok(None) };
        if path.first() == Some(&0) {
            return Ok(None);
        }
        let path = PathBuf::from(OsStr::from_bytes(path));
        let Some(identity) = identity(&path) else { return Ok(None) };
        let socket = socket.as_fd().try_clone_to_owned().map_err(|error| from_io(&error, "fcntl", None))?;
        Ok(Some(BoundPath { path, identity, _socket: socket }))
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.identity) {
            // In a directory that has become read-only the path stays, as it does after a process was killed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &PathBuf) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
