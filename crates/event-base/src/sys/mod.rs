//! What the kernel offers beyond nix, and how it is called.
//!
//! nix has no `epoll_pwait2` and wants owned descriptors where the engine only borrows a user's.

pub(crate) mod fd;
pub(crate) mod notify;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod pwait2;
