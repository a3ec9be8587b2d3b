#![no_main]
//! `cargo +nightly fuzz run units fuzz/seeds/units`

#[path = "../../restarter/tests/properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::units(bytes));
