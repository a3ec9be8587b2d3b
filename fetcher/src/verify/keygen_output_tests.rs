use super::*;

const FP: &str = "SHA256:ZDkw+89t/DoqcB3hYzrzB+Ll3mbZT5KMFLTq66IEkFw";

fn ran(code: i32, stdout: &str, stderr: &str) -> CommandOutput {
    CommandOutput {
        code,
        stdout: stdout.into(),
        stderr: stderr.into(),
    }
}

fn says(text: &str) -> CommandOutput {
    ran(0, &text.replace("FP", FP), "")
}

fn not(code: i32, stderr: &str) -> SignatureFault {
    let ran = ran(code, "Could not verify signature.\n", stderr);
    signer(&ran, "alice@x").unwrap_err()
}

#[test]
fn principals_come_one_a_line_and_only_from_a_success() {
    assert_eq!(
        principals(&ran(0, "alice@x\nbob@x\n", "")),
        ["alice@x", "bob@x"]
    );
    assert_eq!(principals(&ran(0, "al ice@x\n\n", "")), ["al ice@x"]);
    assert!(principals(&ran(255, "alice@x\n", "")).is_empty());
    assert!(principals(&ran(0, "", "")).is_empty());
    assert_eq!(principals(&ran(0, "a\0b\nc\n", "")), ["c"]);
}

#[test]
fn a_good_signature_names_its_principal_and_key() {
    let said = "Good \"git\" signature for alice@x with ED25519 key FP\n";
    let good = signer(&says(said), "alice@x").unwrap();
    assert_eq!(good.to_string(), format!("alice@x (ED25519 {FP})"));
    let said = "Good \"git\" signature for *@x with ED25519-CERT key FP\n";
    let good = signer(&says(said), "*@x").unwrap();
    assert_eq!(good.key.kind, "ED25519-CERT");
    let said = "Good \"git\" signature with RSA key FP\n";
    assert_eq!(key(&says(said)).unwrap().kind, "RSA");
}

#[test]
fn anything_else_is_not_a_good_signature() {
    for said in [
        "",
        "Good \"file\" signature for alice@x with ED25519 key FP\n",
        "Good \"git\" signature for bob@x with ED25519 key FP\n",
        "Good \"git\" signature with ED25519 key FP\n",
        "Good \"git\" signature for alice@x with ED25519 key MD5:00\n",
        "Good \"git\" signature for alice@x with ED25519 key FP\nCould not verify signature.\n",
        "Could not verify signature.\nGood \"git\" signature for alice@x with ED25519 key FP\n",
    ] {
        assert!(signer(&says(said), "alice@x").is_err(), "{said}");
    }
    let said = "Good \"git\" signature for alice@x with ED25519 key FP\n";
    for code in [255, 1] {
        let lies = CommandOutput { code, ..says(said) };
        assert!(signer(&lies, "alice@x").is_err(), "the exit code counts");
    }
}

#[test]
fn a_bad_signature_is_told_from_a_signer_who_may_not() {
    let bad = "Signature verification failed: incorrect signature\n";
    assert!(matches!(not(255, bad), SignatureFault::Bad(_)));
    let other = "Couldn't verify signature: namespace does not match\n";
    assert!(matches!(not(255, other), SignatureFault::Bad(_)));
    let space = "al:1: key is not permitted for use in signature namespace \"git\"\n";
    assert_eq!(
        not(255, space),
        SignatureFault::NotAllowed(space.trim().to_owned())
    );
}

#[test]
fn remarks_say_what_is_special_and_carry_no_control_character() {
    let said = "al:1: key has expired: verify time 2026-11-22T16:41:23 > valid-before \
                2020-01-01T00:00:00\r\nNo principal matched.\r\n";
    let expected = said.split('\r').next().unwrap();
    assert_eq!(remarks(&ran(255, "", said)), expected);
    assert_eq!(remarks(&ran(255, "", "No principal matched.\n")), "");
    assert_eq!(remarks(&ran(255, "", "a\x1b[31mb\n")), "a [31mb");
    assert_eq!(remarks(&ran(127, "", "")), "exit code 127");
}
