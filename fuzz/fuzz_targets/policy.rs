#![no_main]
//! `cargo +nightly fuzz run policy fuzz/seeds/policy`

#[path = "../../restarter/tests/properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::policy(bytes));
