//! What is said where the restarter or the units have a say: a host in memory, the same sentences.

use super::world::{Signed, Version, World, answering, crashing, good};
use crate::cli::output::words;
use crate::pass::Pass;

/// What a pass comes to, as a line of it would say.
fn told(world: &World) -> String {
    match world.try_pass() {
        Ok(verdict) => format!(
            "{}\n\n",
            words::format_result("todo", &Ok(Pass::Completed(verdict))).text()
        ),
        Err(error) => format!("failed: {error}\n\n"),
    }
}

#[test]
fn a_restart_that_is_not_allowed_and_a_restarter_that_is_not_there() {
    let world = World::new("");
    world.push('1', good());
    world.permitted.set(false);
    let mut text = told(&world);
    text.push_str(&format!(
        "{}\n\n",
        words::foreseen("todo", &world.predict())
    ));
    world.reachable.set(false);
    text.push_str(&told(&world));
    world.reachable.set(true);
    world.permitted.set(true);
    text.push_str(&told(&world));
    super::snapshots::as_before("restarter", &text, world.directory.path());
}

#[test]
fn a_unit_that_does_not_stay_up() {
    let world = World::new("");
    let crashing = crashing();
    world.push('1', crashing.clone());
    let mut text = told(&world);
    world.push('2', good());
    text.push_str(&told(&world));
    world.push('3', crashing);
    text.push_str(&told(&world));
    let unhealthy = answering(503);
    world.push('4', unhealthy);
    text.push_str(&told(&world));
    text.push_str(&told(&world));
    super::snapshots::as_before("units", &text, world.directory.path());
}

#[test]
fn a_signature_that_cannot_be_checked() {
    let world = World::new("[verify]\nallowed_signers = \"/etc/pp-fetcher/allowed_signers\"\n");
    let unclear = Version {
        signed: Signed::CannotTell,
        ..good()
    };
    world.push('1', unclear);
    super::snapshots::as_before("signature_unclear", &told(&world), world.directory.path());
}
