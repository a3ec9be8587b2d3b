//! Points in the program at which a test can kill the process between any two steps, as a power cut would; or
//! can run a program there, for example to fill up a disk.

/// Kills this process if `FAILPOINTS` names the point `WHEN-WHAT`, or runs the program that it names and
/// continues. Does nothing without the feature `failpoints`.
#[cfg(feature = "failpoints")]
pub(crate) fn point(when: &str, what: &str) {
    use nix::sys::signal::{Signal, kill};
    let name = format!("{when}-{what}");
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
