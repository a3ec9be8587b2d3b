//! Locks that threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. That a thread has panicked with it locked is no reason for the others to stop: what is shared here is
/// whole after each change.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
