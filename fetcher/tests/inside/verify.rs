//! Signatures of commits and tags made by git, checked by OpenSSH: what is taken, and each refusal.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::signing::{Signing, ada};
use crate::deploy::FailureClass;
use crate::deploy::source::{Lineage, Source};

#[test]
fn a_signed_commit_is_taken_and_its_signer_named() {
    let signing = Signing::new();
    signing.allow("ada@example.org,ada@work", "ada", "");
    signing.commit("ada", "signed");
    let signer = signing.signer("").unwrap();
    let expected = format!("ada@example.org (ED25519 {})", signing.fingerprint("ada"));
    assert_eq!(signer, expected);
}

#[test]
fn a_merge_of_signed_history_needs_its_own_signature() {
    let signing = ada();
    signing.commit("ada", "signed");
    signing
        .forge
        .commit("b", "from another hand\n", "not signed");
    let refused = signing.refused("");
    assert!(refused.contains("is not signed"), "{refused}");
    assert!(refused.contains("git commit -S"), "{refused}");
}

#[test]
fn a_key_that_is_not_in_the_file_is_named_with_its_fingerprint() {
    let signing = ada();
    signing.commit("eve", "signed by a stranger");
    let refused = signing.refused("");
    assert!(refused.contains(&signing.fingerprint("eve")), "{refused}");
    assert!(refused.contains("allowed_signers"), "{refused}");
}

#[test]
fn a_commit_that_was_changed_after_it_was_signed_is_refused() {
    let signing = ada();
    signing.commit("ada", "signed");
    let raw = signing.forge.git(&["cat-file", "commit", "HEAD"]);
    signing.set_main("commit", &format!("{raw}, and changed\n"));
    let refused = signing.refused("");
    assert!(refused.contains("is bad"), "{refused}");
    assert!(refused.contains("incorrect signature"), "{refused}");
}

#[test]
fn a_signature_of_another_commit_is_refused() {
    let signing = ada();
    signing.commit("ada", "signed");
    let good = signing.forge.git(&["cat-file", "commit", "HEAD"]);
    signing
        .forge
        .commit("evil", "evil\n", "files that nobody signed");
    let tree = signing.forge.git(&["rev-parse", "HEAD^{tree}"]);
    let (_, rest) = good.split_once('\n').unwrap();
    signing.set_main("commit", &format!("tree {tree}\n{rest}\n"));
    assert!(signing.refused("").contains("is bad"));
}

#[test]
fn a_signature_in_the_message_is_none() {
    let signing = ada();
    signing.commit("ada", "signed");
    let raw = signing.forge.git(&["cat-file", "commit", "HEAD"]);
    let at = raw.find("gpgsig ").unwrap();
    let (head, rest) = raw.split_at(at);
    let (signature, message) = rest.split_once("\n\n").unwrap();
    let moved = format!("{head}\n{message}\n{signature}\n \n");
    signing.set_main("commit", &moved);
    assert!(signing.refused("").contains("is not signed"));
}

#[test]
fn validity_and_namespaces_of_the_file_are_kept() {
    for (options, expected) in [
        ("valid-before=\"20200101\"", "has expired"),
        ("valid-after=\"20990101\"", "not yet valid"),
        ("namespaces=\"file\"", "\"git\""),
        ("no-such-option", "unknown key option"),
    ] {
        let signing = Signing::new();
        signing.allow("ada@example.org", "ada", options);
        signing.commit("ada", "signed");
        let refused = signing.refused("");
        assert!(refused.contains(expected), "{options}: {refused}");
    }
    let signing = Signing::new();
    let options = "namespaces=\"git\",valid-after=\"20200101\",valid-before=\"20990101\"";
    signing.allow("ada@example.org", "ada", options);
    signing.commit("ada", "signed");
    assert!(signing.signer("").is_ok());
}

#[test]
fn a_certificate_of_a_trusted_authority_counts_and_one_of_another_does_not() {
    let signing = Signing::new();
    signing.certify("authority", "ada", "ada@example.org");
    signing.allow("*@example.org", "authority", "cert-authority");
    signing.commit_with("ada-cert.pub", "signed");
    let signer = signing.signer("").unwrap();
    assert!(
        signer.starts_with("ada@example.org (ED25519-CERT "),
        "{signer}"
    );
    signing.certify("eve", "ada", "ada@example.org");
    signing.commit_with("ada-cert.pub", "signed again");
    assert!(signing.refused("").contains("ED25519-CERT"));
}

#[test]
fn other_kinds_of_signatures_are_refused_by_name() {
    for (armour, expected) in [
        ("PGP SIGNATURE", "a PGP signature"),
        ("SIGNED MESSAGE", "an X.509 signature"),
    ] {
        let signing = ada();
        signing.forge.commit("b", "b\n", "not signed");
        let raw = signing.forge.git(&["cat-file", "commit", "HEAD"]);
        let (head, message) = raw.split_once("\n\n").unwrap();
        let signed = format!(
            "{head}\ngpgsig -----BEGIN {armour}-----\n \n AAAA\n -----END {armour}-----\n\n{message}\n"
        );
        signing.set_main("commit", &signed);
        let refused = signing.refused("");
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_signature_that_is_gibberish_is_refused() {
    let signing = ada();
    signing.forge.commit("b", "b\n", "not signed");
    let raw = signing.forge.git(&["cat-file", "commit", "HEAD"]);
    let (head, message) = raw.split_once("\n\n").unwrap();
    let signed = format!(
        "{head}\ngpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n\n{message}\n"
    );
    signing.set_main("commit", &signed);
    assert!(signing.refused("").contains("invalid format"));
}

#[test]
fn without_a_usable_file_nothing_is_taken_and_the_revision_is_not_to_blame() {
    let signing = ada();
    signing.commit("ada", "signed");
    let file = signing.at("allowed_signers");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let everybody = signing.signer("").unwrap_err();
    fs::remove_file(&file).unwrap();
    let missing = signing.signer("").unwrap_err();
    fs::create_dir(&file).unwrap();
    let directory = signing.signer("").unwrap_err();
    for (error, expected) in [
        (everybody, "everybody on this host"),
        (missing, "No such file"),
        (directory, "not a file"),
    ] {
        assert_eq!(error.class, FailureClass::Environment);
        assert!(error.what.contains(expected), "{}", error.what);
        assert!(error.what.contains("allowed_signers"), "{}", error.what);
    }
}

#[test]
fn a_signed_tag_counts_for_a_commit_that_is_not() {
    let signing = ada();
    signing.forge.commit("b", "b\n", "not signed");
    signing.tag("ada", "v1.0.0");
    assert!(
        signing
            .signer("tag = \"v*\"")
            .unwrap()
            .starts_with("ada@example.org ")
    );
    assert!(signing.refused("branch = \"main\"").contains("the commit"));
}

#[test]
fn a_tag_without_a_signature_leaves_it_to_the_commit() {
    for annotated in [true, false] {
        let signing = ada();
        signing.commit("ada", "signed");
        let args: &[&str] = if annotated {
            &["tag", "-a", "-m", "x", "v1.0.0"]
        } else {
            &["tag", "v1.0.0"]
        };
        signing.forge.git(args);
        assert!(signing.signer("tag = \"v*\"").is_ok());
        signing.forge.commit("c", "c\n", "not signed");
        signing.forge.git(&["tag", "-f", "-a", "-m", "x", "v1.0.1"]);
        let refused = signing.refused("tag = \"v*\"");
        assert!(
            refused.contains("the tag v1.0.1 is not signed"),
            "{refused}"
        );
    }
}

#[test]
fn a_tag_with_a_bad_signature_is_refused_though_its_commit_is_signed() {
    let signing = ada();
    signing.commit("ada", "signed");
    signing.tag("eve", "v1.0.0");
    let refused = signing.refused("tag = \"v*\"");
    assert!(refused.contains("the tag v1.0.0 is signed"), "{refused}");
    assert!(refused.contains(&signing.fingerprint("eve")), "{refused}");
}

#[test]
fn rule_26_an_old_signed_tag_under_a_new_name_is_refused() {
    let signing = ada();
    signing.commit("ada", "old");
    signing.tag("ada", "v1.0.0");
    let old = signing.forge.git(&["rev-parse", "refs/tags/v1.0.0"]);
    signing.forge.git(&["update-ref", "refs/tags/v9.0.0", &old]);
    let refused = signing.refused("tag = \"v*\"");
    assert!(
        refused.contains("v9.0.0") && refused.contains("\"v1.0.0\""),
        "{refused}"
    );
}

#[test]
fn rule_26_a_signed_downgrade_is_signed_and_does_not_descend() {
    let signing = ada();
    signing.commit("ada", "old");
    let old = signing.forge.git(&["rev-parse", "HEAD"]);
    signing.commit("ada", "new");
    let repository = signing.repository("");
    let listing = repository.poll(&[]).unwrap();
    let new = listing.found().revision;
    listing.fetch(&mut |_| {}).unwrap();
    signing.forge.git(&["update-ref", "refs/heads/main", &old]);
    let listing = repository.poll(&[]).unwrap();
    let mut candidate = listing.fetch(&mut |_| {}).unwrap();
    assert!(candidate.signer(&signing.at("allowed_signers")).is_ok());
    assert_eq!(candidate.lineage(&new).unwrap(), Lineage::Ancestor);
}
