//! Fuzzes `properties::path`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| event_base_net::properties::path(input));

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("run it with: npm run fuzz");
}
