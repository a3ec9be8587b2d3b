//! A forge that is reached by ssh.

use super::git_support::Forge;
use super::git_support::sshd::Sshd;

/// A forge behind a real sshd.
pub struct Distant {
    pub sshd: Sshd,
    pub forge: Forge,
}

impl Distant {
    pub fn start() -> Option<Self> {
        let sshd = Sshd::start()?;
        let forge = Forge::new();
        Some(Self { sshd, forge })
    }
}
