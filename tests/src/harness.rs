//! Runs a suite of cases on one host, one after the other, as `cargo test` runs tests.
//!
//! Without root, without the tools or without packages the cases are reported as ignored, never as
//! passed; with `PP_LAB=required` they fail.

use std::panic::UnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::host;
use crate::lab::{self, Lab};

/// One test: a name that says the behaviour, and what proves it.
pub type Case<T> = (&'static str, fn(&T) -> Result<()>);

/// How many of the journal's messages a failure shows.
const JOURNAL_LINES: &str = "60";

/// Names functions as cases: `cases![a, b]`.
#[macro_export]
macro_rules! cases {
    ($($case:ident),+ $(,)?) => { &[$((stringify!($case), $case)),+] };
}

/// What a suite cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A booted host.
    Lab,
    /// A booted host, and both packages to install on it.
    Packages,
}

impl Needs {
    fn missing(self) -> Option<String> {
        lab::why_not().or_else(|| match self {
            Self::Lab => None,
            Self::Packages => host::debs().err().map(|error| format!("{error:#}")),
        })
    }
}

/// Whether something is missing that a suite needs, and says what; with `PP_LAB=required` nothing may be missing.
#[must_use]
pub fn is_missing(needs: Needs) -> bool {
    let missing = needs.missing();
    if let Some(reason) = &missing {
        eprintln!("lab: {reason}");
    }
    missing.is_some() && !is_required()
}

fn is_required() -> bool {
    std::env::var_os("PP_LAB").is_some_and(|value| value == "required")
}

/// Runs the cases that the command line selects; `start` is called before the first of them.
pub fn run<T>(needs: Needs, start: fn() -> Result<T>, cases: &[Case<T>]) -> ExitCode
where
    T: AsRef<Lab> + Send + Sync + UnwindSafe + 'static,
{
    let mut arguments = Arguments::from_args();
    // They share the host, and the machine has few cores.
    arguments.test_threads = Some(1);
    let missing = is_missing(needs);
    let shared: Arc<OnceLock<Result<T, String>>> = Arc::default();
    let trials = cases
        .iter()
        .map(|&(name, case)| {
            let shared = Arc::clone(&shared);
            Trial::test(name, move || {
                let host = shared.get_or_init(|| start().map_err(|error| format!("{error:#}")));
                match host {
                    Ok(host) => one(host, case),
                    Err(error) => Err(format!("no host to test on: {error}").into()),
                }
            })
            .with_ignored_flag(missing)
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The last of the clones: the host is powered off here.
    drop(shared);
    conclusion.exit_code()
}

fn one<T: AsRef<Lab>>(host: &T, case: fn(&T) -> Result<()>) -> Result<(), Failed> {
    let since = SystemTime::now();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(host)));
    let why = match caught {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => format!("{error:#}"),
        Err(payload) => message(&*payload),
    };
    let since = since
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let journal = host
        .as_ref()
        .journal(&[
            "--since",
            &format!("@{since}"),
            "-o",
            "short-precise",
            "-n",
            JOURNAL_LINES,
        ])
        .unwrap_or_else(|error| format!("{error:#}"));
    Err(format!("{why}\n--- the host's journal ---\n{journal}").into())
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        })
        .unwrap_or_else(|| "panicked".to_owned())
}
