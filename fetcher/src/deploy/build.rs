//! The build script: in the release, before anything is switched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::journal::{Phase, Progress};
use crate::config::{App, duration};
use crate::git::text;
use crate::process::environment::{self, Environment};
use crate::process::{Ended, RunError, Script};
use crate::release::Layout;
use crate::revision::Revision;
use crate::space;

/// What the scripts of an attempt are told about it, as `PP_…` variables.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The app.
    pub app: &'a App,
    /// Its directories.
    pub layout: &'a Layout,
    /// What is deployed.
    pub revision: &'a Revision,
    /// What was live before.
    pub previous: Option<&'a Revision>,
    /// The release's directory.
    pub release: &'a Path,
}

impl Facts<'_> {
    /// The clean environment with the `PP_…` variables and `[deploy.env]`, which has the last word.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let mut environment = environment::clean();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let previous = self.previous.map(Revision::to_string).unwrap_or_default();
        environment.extend([
            ("PP_APP".to_owned(), self.app.name.clone()),
            ("PP_REVISION".to_owned(), self.revision.to_string()),
            ("PP_PREVIOUS_REVISION".to_owned(), previous),
            ("PP_RELEASE".to_owned(), path(self.release)),
            ("PP_CURRENT".to_owned(), path(&self.layout.current_link())),
            ("PP_SHARED".to_owned(), path(&self.layout.shared())),
        ]);
        environment.extend(self.app.deploy.env.clone());
        environment
    }
}

/// Runs the build script, if there is one; its output goes to `log`, and now and then its latest
/// line to `tick`.
///
/// # Errors
/// It is not there, cannot be run, ended badly or took too long: the revision's fault, and
/// nothing has been switched.
pub fn build(
    facts: &Facts<'_>,
    log: &Path,
    tick: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), Failure> {
    let Some(written) = &facts.app.deploy.build else {
        return Ok(());
    };
    let program = script(facts.release, written)?;
    let timeout = facts.app.deploy.build_timeout;
    let run = Script {
        program: program.clone(),
        directory: facts.release,
        environment: facts.environment(),
        timeout,
        log,
    };
    let fail = |how: String| {
        let tail = tail(log)
            .map(|tail| format!("\n  its last lines:\n{tail}"))
            .unwrap_or_default();
        let mut what = format!(
            "{} {how}, nothing was switched{tail}\n  all of its output: {}",
            written.display(),
            log.display()
        );
        // What a build does on a full disk says nothing about the revision.
        if let Some(full) = [facts.release, log].iter().find_map(|p| space::is_full(p)) {
            what.push_str(&format!("\n  the disk is full: {full}"));
            return Err(Failure::surroundings(Phase::Build, what));
        }
        Err(Failure::revision(Phase::Build, what))
    };
    match run.run_telling(&mut |line| tick(Progress::Build(line))) {
        Ok(Ended::Well) => Ok(()),
        Ok(Ended::Exit(code)) => fail(format!("ended with exit code {code}")),
        Ok(Ended::Signal(signal)) => fail(format!("was ended by signal {signal}")),
        Ok(Ended::TimedOut) => fail(format!(
            "was ended after {} (build_timeout)",
            duration::human(timeout)
        )),
        Ok(Ended::Stopped) => Err(Failure::stopped(Phase::Build)),
        Err(RunError::Program(error)) => Err(Failure::revision(
            Phase::Build,
            format!(
                "{} cannot be run: {error}\n  is its first line, such as #!/bin/sh, right?",
                program.display()
            ),
        )),
        Err(error) => Err(Failure::surroundings(
            Phase::Build,
            format!("{} was not run: {error}", written.display()),
        )),
    }
}

/// The script, if it is a file that may be executed.
fn script(release: &Path, written: &Path) -> Result<PathBuf, Failure> {
    let program = release.join(written);
    let refuse = |what: String| Err(Failure::revision(Phase::Build, what));
    match fs::metadata(&program) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(program),
        Ok(_) => refuse(format!(
            "{} is not an executable file\n  in the repository: git update-index --chmod=+x {}",
            program.display(),
            written.display()
        )),
        Err(error) => refuse(format!(
            "the build script {} is not in the release: {error}\n  `deploy.build` of the app's file \
             names it: commit it, or take that line out",
            written.display()
        )),
    }
}

/// The last lines of a log, indented, without control characters.
fn tail(log: &Path) -> Option<String> {
    const LINES: usize = 5;
    const WIDTH: usize = 200;
    let log = fs::read(log).ok()?;
    let end = log.get(log.len().saturating_sub(16 * 1024)..)?;
    let cut = |line: String| line.chars().take(WIDTH).collect::<String>();
    let lines: Vec<_> = end
        .split(|byte| *byte == b'\n')
        .map(text::kept)
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("    | {}", cut(line)))
        .collect();
    let lines = lines.get(lines.len().saturating_sub(LINES)..)?;
    (!lines.is_empty()).then(|| lines.join("\n"))
}
