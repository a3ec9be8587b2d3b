#![no_main]
//! `cargo +nightly fuzz run frames fuzz/seeds/frames`

#[path = "../../restarter/tests/properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::frames(bytes));
