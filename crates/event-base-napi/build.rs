//! Settings of the linker: Node-API's symbols are left to the host, and a macOS library names no path of the build.

use std::env;

fn main() {
    napi_build::setup();
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos") {
        // The default of the name is the path of the file.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/event-base.node");
        // The standard library names libiconv, which nothing calls.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-dead_strip_dylibs");
    }
}
