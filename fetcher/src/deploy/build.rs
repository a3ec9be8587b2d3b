//! The step that runs the build script, in the directory of the new release, before `current` is switched.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::recorder::Progress;
use super::step::Step;
use crate::config::App;
use crate::process::env_file;
use crate::process::environment::{self, Environment};
use crate::process::{RunError, Script, ScriptEnd};
use crate::release::Layout;
use crate::revision::Revision;
use crate::space;
use crate::state::open;
use crate::util::duration;
use crate::util::text;

/// Facts about an attempt that its scripts are given as `PP_…` variables.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// The app.
    pub app: &'a App,
    /// The app's directories.
    pub layout: &'a Layout,
    /// The revision that is deployed.
    pub revision: &'a Revision,
    /// The revision that was live before.
    pub previous: Option<&'a Revision>,
    /// The release's directory.
    pub release: &'a Path,
}

impl Facts<'_> {
    /// Gives the clean environment with the variables of `env_files`, the `PP_…` variables and `[deploy.env]`; of two
    /// assignments to one variable the later counts.
    #[must_use]
    pub(crate) fn environment(&self, env_files: Environment) -> Environment {
        let mut environment = environment::clean();
        environment.extend(env_files);
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

/// Runs the build script, if the app has one; its output goes to `log`, and now and then the latest
/// line of the output to `tick`.
///
/// # Errors
/// The build script does not exist, cannot be run, failed or took too long; nothing has been switched. That is the
/// revision's fault, unless the disk is full, the sandbox of pp-fetcher's unit denied a write, the log cannot be
/// opened, the host cannot start a process, the script is the host's own, or pp-fetcher was told to stop.
pub(crate) fn build(
    facts: &Facts<'_>,
    log: &Path,
    tick: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), Failure> {
    let Some(written) = &facts.app.deploy.build else {
        return Ok(());
    };
    let program = script(facts.release, written)?;
    let env_files = env_file::read(&facts.app.deploy.env_files);
    let env_files = env_files.map_err(|why| Failure::environment(Step::Build, why))?;
    let timeout = facts.app.deploy.build_timeout;
    let run = Script {
        program: program.clone(),
        directory: facts.release,
        environment: facts.environment(env_files),
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
        // A build that fails on a full disk says nothing about the revision.
        if let Some(full) = [facts.release, log].iter().find_map(|p| space::is_full(p)) {
            what.push_str(&format!("\n  the disk is full: {full}"));
            return Err(Failure::environment(Step::Build, what));
        }
        match find_sandbox_denial(log, &facts.app.name) {
            Some(SandboxDenial::ReadOnly(advice)) => {
                what.push_str(&advice);
                return Err(Failure::environment(Step::Build, what));
            }
            Some(SandboxDenial::Privilege(advice)) => what.push_str(&advice),
            None => {}
        }
        Err(Failure::revision(Step::Build, what))
    };
    match run.run_telling(&mut |line| tick(Progress::Build(line))) {
        Ok(ScriptEnd::Well) => Ok(()),
        Ok(ScriptEnd::Exit(code)) => fail(format!("ended with exit code {code}")),
        Ok(ScriptEnd::Signal(9)) => fail(
            "was ended by signal 9 (whether the kernel did that because memory was short, journalctl -k -g 'out of memory' shows)"
                .to_owned(),
        ),
        Ok(ScriptEnd::Signal(signal)) => fail(format!("was ended by signal {signal}")),
        Ok(ScriptEnd::TimedOut) => fail(format!(
            "was ended after {} (build_timeout)",
            duration::human(timeout)
        )),
        Ok(ScriptEnd::Stopped) => Err(Failure::stopped(Step::Build)),
        Err(RunError::Program(error)) => Err(Failure::revision(
            Step::Build,
            format!("{} cannot be run: {error}\n  {}", program.display(), first_line(&program)),
        )),
        Err(error) => Err(Failure::environment(
            Step::Build,
            format!("{} was not run: {error}", written.display()),
        )),
    }
}

/// Checks whether `found` describes a regular file with an execute permission.
pub(super) fn may_be_run(found: &fs::Metadata) -> bool {
    found.is_file() && found.permissions().mode() & 0o111 != 0
}

/// Gives the path of the build script, if it is a file that may be executed.
fn script(release: &Path, written: &Path) -> Result<PathBuf, Failure> {
    let program = release.join(written);
    let refuse = |what: String| {
        // A script with an absolute path is the host's: it was checked in the look step and has changed since.
        Err(if written.is_absolute() {
            Failure::environment(Step::Build, what)
        } else {
            Failure::revision(Step::Build, what)
        })
    };
    match fs::metadata(&program) {
        Ok(found) if may_be_run(&found) => Ok(program),
        Ok(_) => refuse(format!(
            "{} is not an executable file\n  in the repository: git update-index --chmod=+x {}",
            program.display(),
            written.display()
        )),
        Err(error) => refuse(format!(
            "the build script {} is not in the release: {error}\n  `build` under [deploy] of the app's file \
             names it: commit it, or take that line out",
            written.display()
        )),
    }
}

/// Says what is wrong with the first line of a script that the kernel cannot run.
fn first_line(program: &Path) -> String {
    let mut head = Vec::new();
    let read = fs::File::open(program).and_then(|file| file.take(256).read_to_end(&mut head));
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let shown = text::line(line);
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    match line.strip_prefix(b"#!") {
        _ if read.is_err() => "it cannot be read either".to_owned(),
        None => "its first line must name what runs it, such as #!/bin/sh".to_owned(),
        Some(rest) if rest.ends_with(b"\r") => format!(
            "its lines end in CR LF, as on Windows, so {shown:?} names a program with a CR at its end\n  in the \
             repository: sed -i 's/\\r$//' {name}; and `{name} text eol=lf` in .gitattributes keeps it so"
        ),
        Some(rest) => {
            let interpreter = text::line(rest);
            let interpreter = interpreter
                .split_ascii_whitespace()
                .next()
                .unwrap_or_default();
            if Path::new(interpreter).exists() {
                format!("its first line is {shown:?}: can this user run that?")
            } else {
                format!(
                    "its first line, {shown:?}, names {interpreter}, which is not on this host: install it, or correct \
                     that line"
                )
            }
        }
    }
}

/// An action that the sandbox of pp-fetcher's own unit denied to the build script.
enum SandboxDenial {
    /// Writing to a directory that is not among the unit's `ReadWritePaths=`.
    ReadOnly(String),
    /// Using rights that the unit does not have.
    Privilege(String),
}

/// Finds in the last lines of a failed build the signs of a denial by the sandbox of pp-fetcher's own unit: a
/// build that works by hand may fail in the unit.
fn find_sandbox_denial(log: &Path, app: &str) -> Option<SandboxDenial> {
    if !space::in_a_unit() {
        return None;
    }
    let end = end(log)?;
    let said = |needle: &str| {
        let mut lines = end.split(|byte| *byte == b'\n').rev();
        lines.find_map(|line| text::line(line).contains(needle).then(|| text::line(line)))
    };
    if let Some(line) = said("Read-only file system") {
        return Some(SandboxDenial::ReadOnly(format!(
            "\n  it ran in a unit that lets it write to its ReadWritePaths= alone ({line})\n  as root: systemctl edit \
             pp-fetcher, there [Service] and ReadWritePaths= with that directory, then systemctl restart pp-fetcher; the \
             revision is not held back, and `pp-fetcher poll {app}` tries it at once"
        )));
    }
    let line = said("no new privileges").or_else(|| said("Operation not permitted"))?;
    Some(SandboxDenial::Privilege(format!(
        "\n  it ran in a unit without any privilege ({line}): sudo does not work in there, nor chown to another user; \
         pp-fetcher restarts what [restart] says, and the rest is for root to do once\n  see BUILD SCRIPT in \
         pp-fetcher.toml(5)"
    )))
}

/// Reads the end of a log.
fn end(log: &Path) -> Option<Vec<u8>> {
    open::tail(log, 16 * 1024).ok()
}

/// Gives the last lines of a log, indented, without control characters.
fn tail(log: &Path) -> Option<String> {
    const LINES: usize = 5;
    const WIDTH: usize = 200;
    let end = end(log)?;
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
