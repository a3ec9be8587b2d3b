//! Places at which a test can have us killed, as a power cut would: between any two steps. Or have
//! something else happen there, such as a disk that fills up.

/// Dies here if `FAILPOINTS` says so for `WHEN-WHAT`, or runs the program that it names and goes on.
/// Nothing at all without the feature.
#[cfg(feature = "failpoints")]
pub(crate) fn point(when: &str, what: &str) {
    use nix::sys::signal::{Signal, kill};
    let name = format!("{when}-{what}");
    fail::fail_point!(&name, |program: Option<String>| {
        if let Some(program) = program {
            let _ = std::process::Command::new(program).status();
            return;
        }
        // SIGKILL: no destructor, no handler, no buffer is flushed.
        let _ = kill(nix::unistd::getpid(), Signal::SIGKILL);
    });
}

/// Dies here in tests; nothing at all in what is shipped.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn point(_when: &str, _what: &str) {}
