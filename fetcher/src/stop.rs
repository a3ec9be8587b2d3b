//! Stopping on request: by systemd, by Ctrl-C, by `kill`.
//!
//! A pass that has not reached its switch is abandoned, a later one is finished: either way nothing is left
//! half-way. A second signal ends the process at once; the next poll then resumes or undoes the attempt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

static TOLD: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Exit code of a process that has received two signals, as shells report it for SIGTERM.
const TOLD_TWICE: i32 = 143;

/// Starts to record the first SIGTERM or SIGINT instead of ending the process.
///
/// # Errors
/// The operating system refuses to register the signals.
pub(crate) fn listen() -> std::io::Result<()> {
    let told = TOLD.get_or_init(Arc::default);
    for signal in [SIGTERM, SIGINT] {
        // In this order: the handler that ends the process must see the flag unset at the first signal and
        // set at the second.
        register_conditional_shutdown(signal, TOLD_TWICE, Arc::clone(told))?;
        register(signal, Arc::clone(told))?;
    }
    Ok(())
}

/// Whether SIGTERM or SIGINT has been received.
#[must_use]
pub(crate) fn stop_requested() -> bool {
    TOLD.get().is_some_and(|told| told.load(Ordering::Relaxed))
}
