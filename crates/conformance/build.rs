//! Finds the system's libevent.

use std::process::ExitCode;

/// The required libraries: the loop, and its pthreads support for the rows with locks.
const LIBRARIES: [&str; 2] = ["libevent_core", "libevent_pthreads"];

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    // The differential replaces the clock and the wait, which libevent's library has to find too.
    println!("cargo:rustc-link-arg-bin=differential=-rdynamic");
    for library in LIBRARIES {
        let found = pkg_config::Config::new().atleast_version("2.1").probe(library);
        if let Err(error) = found {
            eprintln!("event-base-conformance needs {library} 2.1 or newer.");
            eprintln!("On Debian and Ubuntu: apt-get install libevent-dev pkg-config");
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
