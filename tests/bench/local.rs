//! A repository of this machine and pp-fetcher with it, without a host: what a deploy costs up to the switch.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pp_tests::host::debs;
use tempfile::TempDir;

/// Whom everything runs as where this is root's: pp-fetcher does nothing for root itself.
const NOBODY: u32 = 65534;

/// The pause between two looks at what a poll does: the error of what is measured.
const LOOK: Duration = Duration::from_micros(500);

/// A repository, and a pp-fetcher that deploys it.
pub(crate) struct Local {
    directory: TempDir,
}

impl Local {
    /// An empty repository in a directory of its own below `above`, served as the big forges serve theirs.
    pub(crate) fn new(above: &Path) -> Result<Self> {
        let local = Self {
            directory: tempfile::tempdir_in(above)?,
        };
        for name in ["", "etc", "etc/apps.d", "repository"] {
            local.directory(name)?;
        }
        local.unpack()?;
        local.app("todo", "")?;
        local.git(&["init", "-q", "-b", "main"])?;
        local.git(&["config", "uploadpack.allowFilter", "true"])?;
        Ok(local)
    }

    /// Puts the programs of the package in place: those that users get, linked as they are.
    fn unpack(&self) -> Result<()> {
        let name = |path: &PathBuf| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let package = debs()?
            .into_iter()
            .find(|path| name(path).starts_with("pp-fetcher_"));
        let package = package.context("no package of pp-fetcher")?;
        let unpacked = self.at("unpacked");
        let status = Command::new("dpkg-deb")
            .arg("-x")
            .args([&package, &unpacked])
            .status()?;
        ensure!(status.success(), "{}: {status}", package.display());
        for place in ["usr/bin/pp-fetcher", "usr/lib/pp-fetcher/pp-git-worker"] {
            let program = unpacked.join(place);
            let name = program.file_name().context("a program's name")?;
            fs::rename(&program, self.directory.path().join(name))?;
        }
        Ok(())
    }

    /// Writes the file of an app that deploys the repository.
    pub(crate) fn app(&self, name: &str, more: &str) -> Result<()> {
        let at = self.directory.path().display();
        let text = format!(
            "repository = \"file://{at}/repository\"\n{more}[deploy]\nroot = \"{at}/root/{name}\"\nkeep = 2\n"
        );
        for directory in ["root", &format!("root/{name}"), "state"] {
            self.directory(directory)?;
        }
        Ok(fs::write(
            self.at(&format!("etc/apps.d/{name}.toml")),
            text,
        )?)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The address of the repository.
    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.at("repository").display())
    }

    /// A directory that is nobody's.
    pub(crate) fn directory(&self, name: &str) -> Result<()> {
        let path = self.at(name);
        fs::create_dir_all(&path)?;
        Ok(chown(path, Some(NOBODY), Some(NOBODY))?)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path());
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    /// Runs git in the repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> Result<String> {
        self.git_with(arguments, &[])
    }

    pub(crate) fn git_with(&self, arguments: &[&str], input: &[u8]) -> Result<String> {
        let mut command = self.command("git");
        command.args(["-C", "repository", "-c", "user.name=Ada"]);
        command.args(["-c", "user.email=ada@example.org"]);
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("git")?;
        let mut stdin = child.stdin.take().context("its input")?;
        stdin.write_all(input)?;
        drop(stdin);
        let output = child.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {arguments:?}: {complaint}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs a script in the directory, and gives the time that it took.
    pub(crate) fn script(&self, script: &str) -> Result<Duration> {
        let began = Instant::now();
        let output = self.command("sh").args(["-ec", script]).output()?;
        let took = began.elapsed();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{script}: {complaint}");
        Ok(took)
    }

    /// Times `git clone` with these options, and removes the clone.
    pub(crate) fn clone_with(&self, options: &str) -> Result<Duration> {
        let took = self.clone_here(options)?;
        self.script("rm -rf clone")?;
        Ok(took)
    }

    /// Times `git clone`, and the same until all is on the disk; removes the clone.
    pub(crate) fn clone_and_sync(&self) -> Result<[Duration; 2]> {
        let took = self.clone_here("")?;
        let synced = took + self.settle()?;
        self.script("rm -rf clone")?;
        Ok([took, synced])
    }

    fn clone_here(&self, options: &str) -> Result<Duration> {
        self.script(&format!("git clone -q {options} {} clone", self.url()))
    }

    /// Waits until all that was written before is on the disk, so that no step pays for another one's files. Gives the
    /// time that it took.
    pub(crate) fn settle(&self) -> Result<Duration> {
        self.script("sync -f .")
    }

    /// Gives a file of the repository's work tree to its owner.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        Ok(chown(path, Some(NOBODY), Some(NOBODY))?)
    }

    /// Forgets all that was deployed.
    pub(crate) fn forget(&self) -> Result<()> {
        for name in ["root", "state"] {
            let _ = fs::remove_dir_all(self.at(name));
            self.directory(name)?;
        }
        for app in fs::read_dir(self.at("etc/apps.d"))? {
            let name = app?.file_name().to_string_lossy().replace(".toml", "");
            self.directory(&format!("root/{name}"))?;
        }
        Ok(())
    }

    fn fetcher(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.at("pp-fetcher"));
        command.args(arguments);
        command.args(["--config", "etc", "--state", "state"]);
        command
    }

    /// Polls all apps, and gives the time from the start of the program until `current` leads to the new release, which is
    /// synced by then; where nothing is new, until the program ends.
    pub(crate) fn poll(&self) -> Result<Duration> {
        let current = self.at("root/todo/current");
        let before = fs::read_link(&current).ok();
        let mut switched = None;
        let began = Instant::now();
        let mut child = self
            .fetcher(&["poll", "-q"])
            .stdout(Stdio::null())
            .spawn()?;
        let status = loop {
            if switched.is_none() && fs::read_link(&current).ok() != before {
                switched = Some(began.elapsed());
            }
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(LOOK);
        };
        ensure!(status.success(), "pp-fetcher poll: {status}");
        Ok(switched.unwrap_or_else(|| began.elapsed()))
    }

    /// Polls once, and gives the most memory in megabytes: all of pp-fetcher's (VmHWM), and of the worker's what is not a
    /// mapped file, as it maps its packs.
    pub(crate) fn poll_memory(&self) -> Result<[f64; 2]> {
        let mut child = self
            .fetcher(&["poll", "-q"])
            .stdout(Stdio::null())
            .spawn()?;
        let children = format!("/proc/{0}/task", child.id());
        let mut most = [0.0_f64; 2];
        let field = |pid: &str, name: &str| -> f64 {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            let number = found.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            number.unwrap_or(0.0) / 1024.0
        };
        let status = loop {
            most[0] = most[0].max(field(&child.id().to_string(), "VmHWM:"));
            for task in fs::read_dir(&children).into_iter().flatten().flatten() {
                let all = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                for pid in all.split_whitespace() {
                    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                    if name.trim() == "pp-git-worker" {
                        most[1] = most[1].max(field(pid, "RssAnon:"));
                    }
                }
            }
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(LOOK);
        };
        ensure!(status.success(), "pp-fetcher poll: {status}");
        Ok(most)
    }

    /// Commits so many times, each time one of `files` files with other lines (git fast-import). The first commit of a
    /// repository has every file.
    pub(crate) fn commits(&self, count: u64, files: u64, numbers: &mut Numbers) -> Result<()> {
        let tip = self.git(&["for-each-ref", "refs/heads/main"])?;
        let mut stream = String::new();
        for n in 0..count {
            let time = 1_600_000_000 + n;
            let _ = write!(
                stream,
                "commit refs/heads/main\ncommitter Ada <a@example.org> {time} +0000\ndata 9\na change\n\n"
            );
            let changed = match (n, tip.is_empty()) {
                (0, true) => 0..files,
                _ => n % files..n % files + 1,
            };
            if n == 0 && !tip.is_empty() {
                stream.push_str("from refs/heads/main^0\n");
            }
            for file in changed {
                let length = 400 + numbers.next() % 2_000;
                let text = numbers.text(length);
                let _ = write!(
                    stream,
                    "M 100644 inline d{}/f{file}.py\ndata {}\n{text}\n",
                    file % 40,
                    text.len()
                );
            }
        }
        self.git_with(&["fast-import", "--quiet"], stream.as_bytes())?;
        Ok(())
    }

    /// Packs the repository as a forge does from time to time.
    pub(crate) fn gc(&self) -> Result<()> {
        self.git(&["gc", "-q"])?;
        Ok(())
    }

    /// The kilobytes of what is below a directory.
    pub(crate) fn size(&self, name: &str) -> Result<f64> {
        let output = self.command("du").args(["-sk", name]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let first = text.split_whitespace().next().context("du")?;
        Ok(first.parse()?)
    }
}

/// The same numbers in every run (xorshift64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Lines of words, as compressible as source is.
    pub(crate) fn text(&mut self, length: u64) -> String {
        let mut text = String::new();
        while (text.len() as u64) < length {
            let word = self.next() % 2_000;
            let end = if self.next().is_multiple_of(8) {
                '\n'
            } else {
                ' '
            };
            let _ = write!(text, "word{:x}{end}", word * word);
        }
        text
    }
}
