//! A library that is preloaded into Node (`LD_PRELOAD`, ld.so(8)) and makes system calls of the addon fail.
//!
//! When the process has loaded an addon, the entries of its global offset table that refer to the functions in
//! [`hooks`] are replaced. So only calls that the addon makes are counted and can fail; Node and the C library are not
//! affected. The driver of `npm run faults` reads the counts and selects a fault through a file that both map:
//! [`control`].
//!
//! The crate is not published, and it is not a default member of the workspace. Without the GNU C library, whose symbols it
//! replaces, it is empty.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(unsafe_code, reason = "the C library's functions are replaced, in a process that is not Rust's")]

mod control;
mod hooks;
mod preload;
mod table;
