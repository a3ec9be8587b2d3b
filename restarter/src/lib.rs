//! Restarts allowlisted systemd units for authenticated local callers.
