//! The suites that look into the crate: the pipeline with a host in memory, the parts of git with the real
//! worker. They are part of the crate's own test program, so that nothing has to be public for them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops where it is wrong, and every suite uses its part of what is shared"
)]

#[path = "../git_support/mod.rs"]
pub mod git_support;
#[path = "../stage/snapshots.rs"]
mod snapshots;
#[path = "../site/typed.rs"]
mod typed;

mod distant;
mod signing;
mod support;
mod world;

mod accept_rewrite;
mod advice;
mod checkout_hostile;
mod checkout_live;
mod checkout_room;
mod checkout_tree;
mod configuration;
mod control;
mod crossing;
mod doctor_ssh;
mod events;
mod examples;
mod false_failure;
mod git_fetch;
mod git_https;
mod git_https_faults;
mod git_https_kept;
mod git_mirror;
mod git_server;
mod git_ssh;
mod git_sshd;
mod git_sshd_ways;
mod git_url;
mod green;
mod holds;
mod hostkey;
mod limit;
mod lineage;
mod monorepo;
mod multiplex;
mod multiplex_program;
mod output_hostkey;
mod output_restarter;
mod pipeline;
mod resume;
mod signed;
mod stuck;
mod submodules;
mod verify;
mod verify_keygen;
mod words_ssh;
mod worker;
