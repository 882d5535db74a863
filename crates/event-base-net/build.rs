//! Names what the target system has, so that a condition in the sources is one word.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(has_mmsg)");
    // `recvmmsg` and `sendmmsg`: Linux 2.6.33 and 3.0, FreeBSD 11.
    if let Ok("linux" | "android" | "freebsd") = env::var("CARGO_CFG_TARGET_OS").as_deref() {
        println!("cargo::rustc-cfg=has_mmsg");
    }
}
