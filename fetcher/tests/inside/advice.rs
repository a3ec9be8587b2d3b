//! Advice that no other suite follows: each test does what a message says, and it ends well.
//! `ADVICE.md` lists every message with advice and the test that follows it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::signing::{Signing, ada};
use super::world::{Signed, Version, World, good};
use crate::deploy::Verdict;
use crate::deploy::rollback::NoWayBack;
use crate::state::Outcome;

#[test]
fn an_unsigned_commit_is_taken_when_a_signed_one_comes() {
    let signing = ada();
    signing.forge.commit("b", "b", "not signed");
    let refused = signing.refused("");
    assert!(refused.contains("sign with an SSH key"), "{refused}");
    signing.commit("ada", "signed");
    assert!(signing.signer("").is_ok());
}

#[test]
fn a_signature_of_another_kind_is_taken_when_it_is_an_ssh_one() {
    let signing = ada();
    signing.commit("ada", "signed");
    let raw = signing.forge.git(&["cat-file", "commit", "HEAD"]);
    signing.set_main(
        "commit",
        &format!("{}\n", raw.replace("SSH SIGNATURE", "PGP SIGNATURE")),
    );
    let refused = signing.refused("");
    assert!(
        refused.contains("only SSH signatures are checked"),
        "{refused}"
    );
    signing.commit("ada", "signed as advised");
    assert!(signing.signer("").is_ok());
}

#[test]
fn a_commit_whose_signature_is_bad_is_taken_when_it_is_signed_anew() {
    let signing = ada();
    signing.commit("ada", "signed");
    let raw = signing.forge.git(&["cat-file", "commit", "HEAD"]);
    signing.set_main(
        "commit",
        &format!("{}\n", raw.replace("\n\nsigned", "\n\nforged")),
    );
    assert!(
        signing
            .refused("")
            .contains("a commit that is signed anew is taken")
    );
    signing.commit("ada", "anew");
    assert!(signing.signer("").is_ok());
}

#[test]
fn a_key_that_nobody_knows_is_taken_when_its_line_is_added() {
    let signing = ada();
    signing.commit("eve", "signed");
    assert!(signing.refused("").contains("add its line there"));
    signing.allow("eve@example.org", "eve", "");
    assert!(signing.signer("").is_ok());
}

#[test]
fn a_line_for_another_namespace_is_taken_when_it_allows_git() {
    let signing = Signing::new();
    signing.allow("ada@example.org", "ada", "namespaces=\"file\"");
    signing.commit("ada", "signed");
    assert!(signing.refused("").contains("\"git\""));
    let file = signing.at("allowed_signers");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"file\"", "\"git\"")).unwrap();
    assert!(signing.signer("").is_ok());
}

#[test]
fn allowed_signers_that_everybody_may_write_are_used_when_only_their_owner_may() {
    let signing = ada();
    signing.commit("ada", "signed");
    let file = signing.at("allowed_signers");
    let mode = |bits| fs::set_permissions(&file, PermissionsExt::from_mode(bits)).unwrap();
    mode(0o666);
    let why = signing.signer("").unwrap_err().what;
    assert!(
        why.contains("only its owner and group to write it"),
        "{why}"
    );
    mode(0o664);
    assert!(signing.signer("").is_ok());
}

#[test]
fn a_revision_that_was_refused_for_its_signature_is_tried_after_retry() {
    let world = World::new("[verify]\nallowed_signers = \"/etc/pp-fetcher/allowed_signers\"\n");
    let unsigned = Version {
        signed: Signed::ByNobody,
        ..good()
    };
    let one = world.push('1', unsigned);
    let reason = world.attempt().reason.unwrap();
    assert!(
        reason.contains("`pp-fetcher retry todo` lets the next poll try it"),
        "{reason}"
    );
    // Its signer was added to the file, which is not the app's.
    world.versions.borrow_mut().insert(one, good());
    assert!(matches!(world.try_pass().unwrap(), Verdict::Held(_)));
    world.change(|state| assert_eq!(state.lift(), std::slice::from_ref(&one)));
    assert_eq!(world.attempt().outcome, Outcome::Good);
}

#[test]
fn without_an_earlier_release_the_commit_that_mends_is_deployed_by_the_next_poll() {
    let (world, _) = World::with_one_live();
    let why = world.rollback(None).unwrap_err();
    assert_eq!(why, NoWayBack::NoEarlier);
    assert!(
        why.to_string()
            .contains("push a commit that mends what is live")
    );
    let two = world.push('2', good());
    assert_eq!(world.attempt().outcome, Outcome::Good);
    assert_eq!(world.served(), Some(two));
}
