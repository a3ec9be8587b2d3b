//! Checks the files that ssh is told to use before ssh is run: ssh's complaints about a file read as if
//! the server had sent them.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::unistd::{Uid, geteuid};

use crate::git::SshOptions;
use crate::release::place::user;

/// The most bytes of a key file that are read.
const LARGEST: u64 = 64 * 1024;

/// Checks that every configured file exists and can be read, and that the key has the mode that ssh demands.
///
/// # Errors
/// A sentence with the name of the setting, the path and the remedy.
pub(super) fn check(ssh: &SshOptions) -> Result<(), String> {
    let files = [
        ("config", &ssh.config),
        ("known_hosts", &ssh.known_hosts),
        ("identity", &ssh.identity),
    ];
    for (key, path) in files {
        let Some(path) = path else { continue };
        match File::open(path).and_then(|file| file.metadata()) {
            // No error: `pp-fetcher hostkey pin` writes the file, and the failure over the unknown key says so.
            Err(error) if key == "known_hosts" && error.kind() == std::io::ErrorKind::NotFound => {}
            // ssh needs only the public half to choose a key that an agent holds.
            Err(_) if key == "identity" && public_half(path).is_file() => {}
            Err(error) => return Err(unreadable(key, path, &error)),
            Ok(found) if key == "identity" => mode(path, &found)?,
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Returns the path of a key's public half, as ssh-keygen names it: the key's whole name with ".pub" appended.
fn public_half(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_os_string();
    name.push(".pub");
    PathBuf::from(name)
}

fn unreadable(key: &str, path: &Path, error: &std::io::Error) -> String {
    let (shown, user) = (path.display(), user(geteuid()));
    let mend = match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "write that file, or take `{key}` out of the app's file: without it ssh does as in a terminal of {user}"
        ),
        _ if key == "identity" => {
            format!("as root: chown {user} {shown} && chmod 600 {shown}")
        }
        _ => format!("as root: chmod a+r {shown}, and the directories above it must let {user} in"),
    };
    format!("`{key}` under [ssh], {shown}, cannot be read by {user}: {error}\n  {mend}")
}

/// Checks the mode of a key: ssh refuses a key of this user that others may read, but takes another owner's key.
fn mode(path: &Path, found: &fs::Metadata) -> Result<(), String> {
    let (shown, mode) = (path.display(), found.mode() & 0o7777);
    let ours = Uid::from_raw(found.uid()) == geteuid();
    // The public half of an agent's key may be readable by everybody.
    let private = private(path);
    if ours && private && mode & 0o077 != 0 {
        return Err(format!(
            "ssh does not use the key {shown}: its mode is {mode:04o}, so others may read it\n  \
             chmod 600 {shown}"
        ));
    }
    Ok(())
}

fn private(path: &Path) -> bool {
    text(path).contains("PRIVATE KEY-----")
}

fn text(path: &Path) -> String {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// Looks for causes on this host why the server refuses the key, and returns the lines to print below the refusal.
pub(super) fn why_denied(ssh: &SshOptions) -> String {
    let mut why = String::new();
    if let Some(agent) = &ssh.agent
        && let Err(error) = UnixStream::connect(agent)
    {
        why.push_str(&format!(
            "\n  the agent at {} ({error}) offered no key: as root: systemctl restart pp-ssh-agent.service, or correct \
             `agent` under [ssh]",
            agent.display()
        ));
    }
    if let Some(key) = &ssh.identity {
        let text = text(key);
        let shown = key.display();
        if has_passphrase(&text) {
            why.push_str(&format!(
                "\n  the key {shown} has a passphrase, and nobody is there to type it: ssh-keygen -p -f {shown} takes it \
                 away; or have an agent hold the key, and name its socket as `agent` under [ssh]"
            ));
        } else if text.contains('\r') {
            why.push_str(&format!(
                "\n  the key {shown} has line ends of DOS, so ssh cannot read it: sed -i 's/\\r$//' {shown}"
            ));
        } else if !text.is_empty() && !text.ends_with('\n') {
            why.push_str(&format!(
                "\n  the key {shown} has no newline at its end, so ssh cannot read it: echo >>{shown}"
            ));
        }
    }
    why
}

/// Returns whether a private key is encrypted: the old formats have a word for it, OpenSSH's own format names a
/// cipher (PROTOCOL.key of OpenSSH).
fn has_passphrase(key: &str) -> bool {
    if key.contains("ENCRYPTED") {
        return true;
    }
    let body: String = key
        .lines()
        .skip_while(|line| !line.contains("BEGIN OPENSSH PRIVATE KEY"))
        .skip(1)
        .take_while(|line| !line.starts_with('-'))
        .flat_map(|line| line.trim().chars())
        .collect();
    let Ok(raw) = STANDARD.decode(body) else {
        return false;
    };
    // The magic is followed by the length of the cipher's name in four bytes, and by the name.
    let cipher = raw.strip_prefix(b"openssh-key-v1\0");
    cipher.is_some_and(|cipher| !cipher.starts_with(b"\0\0\0\x04none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    fn key(passphrase: &str) -> (tempfile::TempDir, SshOptions) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
            .arg(&path);
        assert!(keygen.status().unwrap().success());
        let identity = Some(path);
        (
            directory,
            SshOptions {
                identity,
                ..SshOptions::default()
            },
        )
    }

    #[test]
    fn a_key_with_a_passphrase_is_known_by_its_file() {
        assert_eq!(why_denied(&key("").1), "");
        let (_directory, ssh) = key("secret");
        assert!(
            why_denied(&ssh).contains("ssh-keygen -p -f"),
            "{}",
            why_denied(&ssh)
        );
        assert!(has_passphrase(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        ));
    }

    #[test]
    fn a_damaged_key_is_not_said_to_be_refused() {
        let (_directory, ssh) = key("");
        let path = ssh.identity.clone().unwrap();
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, good.replace('\n', "\r\n")).unwrap();
        assert!(why_denied(&ssh).contains("line ends of DOS"));
        fs::write(&path, good.trim_end()).unwrap();
        assert!(why_denied(&ssh).contains("no newline"));
    }

    #[test]
    fn a_file_that_ssh_could_not_use_is_told_with_its_mend() {
        let (directory, ssh) = key("");
        assert_eq!(check(&ssh), Ok(()));
        let path = ssh.identity.clone().unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let why = check(&ssh).unwrap_err();
        assert!(
            why.contains("mode is 0644") && why.contains("chmod 600"),
            "{why}"
        );
        let public = path.with_extension("pub");
        let ssh = SshOptions {
            identity: Some(public),
            ..SshOptions::default()
        };
        assert_eq!(
            check(&ssh),
            Ok(()),
            "the public half chooses a key of an agent's"
        );
        fs::remove_file(&path).unwrap();
        let private = SshOptions {
            identity: Some(path),
            ..SshOptions::default()
        };
        assert_eq!(check(&private), Ok(()), "an agent holds the private half");
        let missing = Some(directory.path().join("none"));
        let ssh = SshOptions {
            config: missing,
            ..SshOptions::default()
        };
        let why = check(&ssh).unwrap_err();
        assert!(
            why.contains("`config` under [ssh]") && why.contains("write that file"),
            "{why}"
        );
    }

    #[test]
    fn an_agent_that_is_not_there_is_told() {
        let ssh = SshOptions {
            agent: Some("/nowhere/agent.sock".into()),
            ..SshOptions::default()
        };
        assert!(why_denied(&ssh).contains("systemctl restart pp-ssh-agent.service"));
    }
}
