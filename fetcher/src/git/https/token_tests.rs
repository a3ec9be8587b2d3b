use super::*;
use std::fs;

fn token(content: &[u8], mode: u32) -> Result<Token, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    Token::read(&path).map_err(|e| e.to_string())
}

#[test]
fn one_line_is_a_token_whatever_ends_it() {
    for content in ["ghp_x", "ghp_x\n", "ghp_x\r\n"] {
        let header = token(content.as_bytes(), 0o600).unwrap().header("me");
        let header = header.unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic bWU6Z2hwX3g=");
        assert!(header.is_sensitive());
    }
    assert!(token(b"ghp_x", 0o640).is_ok(), "the group may read it");
}

#[test]
fn rule_33_a_token_file_that_is_everybodys_is_not_used() {
    for mode in [0o644, 0o604, 0o666, 0o602] {
        let error = token(b"hunter2", mode).unwrap_err();
        assert!(error.contains(&format!("{mode:04o}")), "{error}");
        assert!(error.contains("chmod 600 /"), "{error}");
    }
}

#[test]
fn what_is_no_token_is_refused_and_not_repeated() {
    for (content, what) in [
        (&b""[..], "is empty"),
        (b"\n \n", "is empty"),
        (b"hunter2\nhunter3\n", "more than one line"),
        (b"hunter2 x", "blanks"),
        (b"hunter2\x07", "blanks"),
        (b"hunter2\xff", "bytes that no token has"),
        (&[b'x'; 5000], "too large"),
    ] {
        let error = token(content, 0o600).unwrap_err();
        assert!(error.contains(what), "{error}");
        assert!(!error.contains("hunter"), "{error}");
    }
    let missing = Token::read(Path::new("/nowhere/token")).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("/nowhere/token cannot be read")
    );
    let directory = Token::read(Path::new("/")).unwrap_err();
    assert!(directory.to_string().contains("no regular file"));
}

#[test]
fn a_fifo_in_its_place_does_not_hold_us_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let error = Token::read(&path).unwrap_err();
    assert!(error.to_string().contains("no regular file"), "{error}");
}

#[test]
fn rule_33_debug_output_says_nothing() {
    let token = token(b"hunter2", 0o600).unwrap();
    assert_eq!(format!("{token:?}"), "Token(…)");
    assert!(!format!("{:?}", token.header("me").unwrap()).contains("aHVu"));
}
