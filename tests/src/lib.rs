//! A booted Debian host in a directory, and the suites that run on it.
