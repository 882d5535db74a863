//! System calls that nix does not offer, or not in the form needed.
//!
//! nix has no `epoll_pwait2`, has `kevent` on the BSDs only, and takes owned descriptors where the engine borrows those
//! of user code.

pub(crate) mod blocking;
pub(crate) mod fd;
pub(crate) mod fork;
#[cfg(has_kqueue)]
pub(crate) mod kqueue;
pub(crate) mod leaked;
#[cfg_attr(event_base_model, allow(dead_code, reason = "a model has no kernel"))]
pub(crate) mod notify;
#[cfg(linux_kernel)]
pub(crate) mod pwait2;
pub(crate) mod scan;
pub(crate) mod signal;
