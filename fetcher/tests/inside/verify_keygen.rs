//! An ssh-keygen that is missing, hangs, lies or talks without end: nothing is taken for signed.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::git_support::nothing_left;
use crate::deploy::FailureClass;
use crate::process::ask::AskError;
use crate::verify::{Keygen, SignedObject, Signer, VerifyError, check};

/// Asks an ssh-keygen that is a script with this body.
fn asked(dir: &Path, body: &str, deadline: Duration) -> Result<Signer, VerifyError> {
    let program = dir.join("ssh-keygen");
    super::git_support::script(&program, body);
    ask(dir, Keygen { program, deadline })
}

fn ask(dir: &Path, keygen: Keygen) -> Result<Signer, VerifyError> {
    let allowed = dir.join("allowed_signers");
    fs::write(&allowed, "").unwrap();
    let object = SignedObject {
        what: "the commit 1".into(),
        payload: vec![b'x'; 1 << 20],
        signature: b"-----BEGIN SSH SIGNATURE-----\n".to_vec(),
    };
    check(&object, &allowed, &keygen)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn without_ssh_keygen_nothing_is_taken_and_the_package_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let keygen = Keygen {
        program: "/nowhere/ssh-keygen".into(),
        ..Keygen::default()
    };
    let error = ask(dir.path(), keygen).unwrap_err();
    assert!(
        matches!(error, VerifyError::Ask(AskError::Program { .. })),
        "{error}"
    );
    assert_eq!(error.class(), FailureClass::Environment);
    assert!(error.to_string().contains("openssh-client"));
}

#[test]
fn one_that_hangs_and_ignores_sigterm_is_ended_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let body = format!(
        "echo $$ >{}/pid; trap '' TERM; sleep 300 & sleep 300",
        dir.path().display()
    );
    let began = Instant::now();
    let error = asked(dir.path(), &body, Duration::from_secs(1)).unwrap_err();
    assert!(
        matches!(error, VerifyError::Ask(AskError::TimedOut { .. })),
        "{error}"
    );
    assert_eq!(error.class(), FailureClass::Environment);
    assert!(began.elapsed() < Duration::from_secs(5));
    let pid = fs::read_to_string(dir.path().join("pid")).unwrap();
    nothing_left(pid.trim().parse().unwrap());
}

#[test]
fn one_that_talks_without_end_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let error = asked(dir.path(), "yes", LONG).unwrap_err();
    assert!(
        matches!(error, VerifyError::Ask(AskError::Unclear { .. })),
        "{error}"
    );
}

#[test]
fn one_that_is_killed_gives_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let error = asked(dir.path(), "kill -9 $$", LONG).unwrap_err();
    assert!(
        matches!(error, VerifyError::Ask(AskError::Unclear { .. })),
        "{error}"
    );
}

#[test]
fn a_success_without_the_words_and_the_words_without_success_are_no_signature() {
    let dir = tempfile::tempdir().unwrap();
    let good = "Good \\\"git\\\" signature for ada with ED25519 key SHA256:x";
    for (says, code) in [("", 0), (good, 255), ("Good", 0)] {
        let body = format!(
            "case $2 in find-principals) echo ada;; *) cat >/dev/null; echo \"{says}\"; exit {code};; esac"
        );
        let error = asked(dir.path(), &body, LONG).unwrap_err();
        assert!(matches!(error, VerifyError::NotAllowed { .. }), "{error}");
    }
    let body =
        format!("case $2 in find-principals) echo ada;; *) cat >/dev/null; echo \"{good}\";; esac");
    let signer = asked(dir.path(), &body, LONG).unwrap();
    assert_eq!(signer.principal, "ada");
}

#[test]
fn its_environment_is_clean_and_the_signature_file_private_and_gone() {
    let dir = tempfile::tempdir().unwrap();
    let seen = dir.path().join("seen");
    // The last argument is the signature's file.
    let body = format!(
        "for last; do :; done; {{ env; stat -c mode=%a \"$last\"; echo file=\"$last\"; }} >{}",
        seen.display()
    );
    let _ = asked(dir.path(), &body, LONG);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(!seen.contains("CARGO"), "{seen}");
    assert!(!seen.contains("SSH_AUTH_SOCK"), "{seen}");
    assert!(seen.contains("mode=600"), "{seen}");
    let file = seen.lines().find_map(|l| l.strip_prefix("file=")).unwrap();
    assert!(!Path::new(file).exists(), "{file}");
}
