//! Being told to stop: by systemd, by Ctrl-C, by `kill`.
//!
//! What is before the switch is abandoned, what is after it is finished: either way nothing is left
//! half-way. A second signal ends the process at once, and the next poll puts things right.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

static TOLD: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Exit code of a process that was told twice, as shells have it for SIGTERM.
const TOLD_TWICE: i32 = 143;

/// From now on the first SIGTERM or SIGINT is remembered instead of ending the process.
///
/// # Errors
/// The system says no.
pub(crate) fn listen() -> std::io::Result<()> {
    let told = TOLD.get_or_init(Arc::default);
    for signal in [SIGTERM, SIGINT] {
        // In this order: the second signal finds the flag that the first has set.
        register_conditional_shutdown(signal, TOLD_TWICE, Arc::clone(told))?;
        register(signal, Arc::clone(told))?;
    }
    Ok(())
}

/// Whether we were told to stop.
#[must_use]
pub(crate) fn stop_requested() -> bool {
    TOLD.get().is_some_and(|told| told.load(Ordering::Relaxed))
}
