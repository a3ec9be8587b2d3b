//! Files of the host, written and looked at from outside.

use anyhow::Result;

use super::Lab;

impl Lab {
    /// Writes a file with this mode and owner (`user:group`); directories above it are made.
    ///
    /// # Errors
    /// `install` failed.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32, owner: &str) -> Result<()> {
        let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
        self.cmd([
            "install",
            "-D",
            "-m",
            &format!("{mode:o}"),
            "-o",
            user,
            "-g",
            group,
        ])
        .args(["/dev/stdin", path])
        .stdin(bytes)
        .ok()?;
        Ok(())
    }

    /// A file's text.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, path: &str) -> Result<String> {
        self.cmd(["cat", "--", path]).ok()
    }

    /// Whether there is something of this name; a dangling link is.
    ///
    /// # Errors
    /// The command could not be run.
    pub fn exists(&self, path: &str) -> Result<bool> {
        let script = r#"test -e "$1" || test -L "$1""#;
        Ok(self.cmd(["sh", "-c", script, "sh", path]).output()?.code == Some(0))
    }

    /// Mode, user and group as `stat -c '%a %U %G'` prints them.
    ///
    /// # Errors
    /// There is no such file.
    pub fn stat(&self, path: &str) -> Result<String> {
        self.cmd(["stat", "-c", "%a %U %G", "--", path]).ok()
    }

    /// Where a link leads, as it is written.
    ///
    /// # Errors
    /// It is not a link.
    pub fn readlink(&self, path: &str) -> Result<String> {
        self.cmd(["readlink", "--", path]).ok()
    }

    /// Names in a directory, sorted, hidden ones included.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self, path: &str) -> Result<Vec<String>> {
        let names = self
            .cmd(["ls", "-A1", "--", path])
            .env("LC_ALL", "C")
            .ok()?;
        Ok(names.lines().map(ToOwned::to_owned).collect())
    }

    /// Every file under these paths with inode, size and times to the nanosecond: two equal answers
    /// mean that nothing was written in between.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn fingerprint(&self, paths: &[&str]) -> Result<String> {
        self.cmd(["find"])
            .args(paths.iter().copied())
            .args(["-printf", "%p %i %s %T@ %C@ %l\\n"])
            .ok()
    }
}
