//! What the kernel offers beyond nix, and how it is called.
//!
//! nix has no `epoll_pwait2`, has `kevent` on the BSDs only, and wants owned descriptors where the engine only borrows a user's.

pub(crate) mod blocking;
pub(crate) mod fd;
pub(crate) mod fork;
#[cfg(any(target_vendor = "apple", target_os = "freebsd", feature = "libkqueue"))]
pub(crate) mod kqueue;
#[cfg_attr(event_base_model, allow(dead_code, reason = "a model has no kernel to be woken by"))]
pub(crate) mod notify;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod pwait2;
pub(crate) mod scan;
