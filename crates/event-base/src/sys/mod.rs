//! What the kernel offers beyond nix, and how it is called.
//!
//! nix has no `epoll_pwait2`, has `kevent` on the BSDs only, and wants owned descriptors where the engine only borrows a user's.

pub(crate) mod blocking;
pub(crate) mod fd;
pub(crate) mod fork;
#[cfg(has_kqueue)]
pub(crate) mod kqueue;
#[cfg_attr(event_base_model, allow(dead_code, reason = "a model has no kernel to be woken by"))]
pub(crate) mod notify;
#[cfg(linux_kernel)]
pub(crate) mod pwait2;
pub(crate) mod scan;
pub(crate) mod signal;
