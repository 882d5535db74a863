//! Defines one cfg name for each property of the target system that the sources depend on.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |key| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let is_linux = matches!(target("OS").as_str(), "linux" | "android");
    let is_bsd = target("VENDOR") == "apple" || target("OS") == "freebsd";
    let has_libkqueue = env::var_os("CARGO_FEATURE_LIBKQUEUE").is_some();
    let names = [
        // The kernel is Linux: eventfd, signalfd, timerfd, POLLRDHUP, coarse clocks.
        ("linux_kernel", is_linux),
        // The kernel has kqueue itself: FreeBSD, Darwin.
        ("bsd_kernel", is_bsd),
        // The backend `epoll` is compiled in.
        ("has_epoll", is_linux),
        // The backend `kqueue` is compiled in, over the kernel or over libkqueue.
        ("has_kqueue", is_bsd || has_libkqueue),
    ];
    for (name, holds) in names {
        println!("cargo::rustc-check-cfg=cfg({name})");
        if holds {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
