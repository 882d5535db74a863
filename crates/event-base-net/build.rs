//! Gives each property of the target system one name, so that a condition in the sources is one word.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(has_mmsg)");
    println!("cargo::rustc-check-cfg=cfg(has_send_queue_ioctl)");
    if let Ok("linux" | "android" | "freebsd") = env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // `recvmmsg` and `sendmmsg`: Linux 2.6.33 and 3.0, FreeBSD 11.
        println!("cargo::rustc-cfg=has_mmsg");
        // An `ioctl` that returns the bytes in a socket's send queue: `SIOCOUTQ` (tcp(7)), `FIONWRITE`.
        println!("cargo::rustc-cfg=has_send_queue_ioctl");
    }
}
