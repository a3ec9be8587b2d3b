//! Points in the program at which a test can kill the process between any two steps, as a power cut would; or
//! can run a program there, for example to fill up a disk. Around every step stand `before-STEP` and `after-STEP`;
//! [`WITHIN_STEPS`] are those inside of steps. The crash matrix (`tests/crash.rs`) is made of both.

/// The points inside of steps: around what changes the release, the link, the state and the history.
pub const WITHIN_STEPS: [&str; 9] = [
    "before-release",
    "before-rename",
    "after-rename",
    "before-state",
    "after-state",
    "after-history",
    "during-removal",
    "before-outbox",
    "after-outbox",
];

/// Kills this process if `FAILPOINTS` names the point `WHEN-WHAT`, or runs the program that it names and
/// continues. Does nothing without the feature `failpoints`.
#[cfg(feature = "failpoints")]
pub(crate) fn point(when: &str, what: &str) {
    use nix::sys::signal::{Signal, kill};
    let name = format!("{when}-{what}");
    debug_assert!(
        WITHIN_STEPS.contains(&name.as_str())
            || crate::deploy::Step::ALL
                .iter()
                .any(|step| step.as_str() == what),
        "{name} is not in the crash matrix"
    );
    fail::fail_point!(&name, |program: Option<String>| {
        if let Some(program) = program {
            let _ = std::process::Command::new(program).status();
            return;
        }
        // SIGKILL: no destructor and no handler runs, and no buffer is flushed.
        let _ = kill(nix::unistd::getpid(), Signal::SIGKILL);
    });
}

/// Does nothing: released programs have no such points.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn point(_when: &str, _what: &str) {}
