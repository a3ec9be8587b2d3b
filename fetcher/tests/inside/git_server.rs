//! A server that lies: packs that are cut, forged, incomplete; bytes that are no protocol.

use std::fs;
use std::io::{self, Cursor, Read, Write};

use super::git_support::Forge;
use super::support;
use super::support::Mirror;
use super::support::fake_ssh;
use crate::git::fetch::{FetchError, Fetched};
use crate::git::wire::{self, Greeting, Wire};
use crate::git::{RefSelector, Remote};
use pp_objects::ObjectId;
use proptest::prelude::*;

fn packet(data: &[u8]) -> Vec<u8> {
    let mut out = format!("{:04x}", data.len() + 4).into_bytes();
    out.extend_from_slice(data);
    out
}

/// What a version 2 server says that offers `id` as main and sends `pack` for it.
fn answers(id: &str, pack: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in [
        "version 2\n",
        "ls-refs\n",
        "fetch\n",
        "object-format=sha1\n",
    ] {
        out.extend(packet(line.as_bytes()));
    }
    out.extend(b"0000");
    out.extend(packet(format!("{id} refs/heads/main\n").as_bytes()));
    out.extend(b"0000");
    out.extend(packet(b"packfile\n"));
    for chunk in pack.chunks(1000) {
        let mut band = vec![1];
        band.extend_from_slice(chunk);
        out.extend(packet(&band));
    }
    out.extend(b"0000");
    out
}

/// Fetches main from a server that answers with these bytes, whatever it is asked.
fn fetch(forge: &Forge, mirror: &Mirror, answers: &[u8]) -> Result<Fetched, FetchError> {
    let file = forge.dir.path().join("answers");
    fs::write(&file, answers).unwrap();
    let options = fake_ssh(
        forge.dir.path(),
        &format!("cat '{}'; exec cat >/dev/null", file.display()),
    );
    let wanted = RefSelector::Branch("main".into());
    let mut remote = Remote::connect(&"forge:x".parse().unwrap(), &options)?;
    let revision = wanted.resolve(&remote.list(&wanted)?).unwrap();
    support::fetch(&mut remote, mirror, &revision, &mut |_| {})
}

/// A pack of just these objects.
fn pack_of(forge: &Forge, objects: &[&str]) -> Vec<u8> {
    let list = objects.join("\n") + "\n";
    let base = forge.dir.path().join("p");
    let name = forge.git_with(
        &["pack-objects", "-q", base.to_str().unwrap()],
        list.as_bytes(),
    );
    fs::read(forge.dir.path().join(format!("p-{name}.pack"))).unwrap()
}

struct Objects {
    commit: String,
    tree: String,
    blob: String,
}

fn objects(forge: &Forge) -> Objects {
    let id = |what: &str| forge.git(&["rev-parse", what]);
    Objects {
        commit: id("HEAD"),
        tree: id("HEAD^{tree}"),
        blob: id("HEAD:app.py"),
    }
}

/// That the mirror has neither the commit nor anything half-received.
fn untouched(mirror: &Mirror, commit: &str) {
    assert!(!mirror.contains(ObjectId::parse(commit).unwrap()));
    let names = |dir: &str| {
        let entries = fs::read_dir(mirror.path().join(dir)).unwrap();
        entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("objects/pack"), Vec::<String>::new());
    assert!(!names("").iter().any(|n| n.starts_with("incoming")));
}

#[test]
fn the_harness_itself_can_serve_an_honest_pack() {
    let forge = Forge::new();
    let o = objects(&forge);
    let pack = pack_of(&forge, &[&o.commit, &o.tree, &o.blob]);
    let fetched = fetch(&forge, &forge.mirror(), &answers(&o.commit, &pack)).unwrap();
    assert_eq!((fetched.commit.to_string(), fetched.objects), (o.commit, 3));
}

#[test]
fn a_pack_that_lacks_an_object_is_not_taken() {
    let forge = Forge::new();
    let old = objects(&forge);
    forge.commit("app.py", "print('v2')\n", "two");
    let o = objects(&forge);
    let whole = [
        &*old.commit,
        &old.tree,
        &old.blob,
        &o.commit,
        &o.tree,
        &o.blob,
    ];
    // All of it matters but the trees and files of older commits.
    for lacking in [&old.commit, &o.commit, &o.tree, &o.blob] {
        let mirror = forge.mirror();
        let objects: Vec<_> = whole.iter().copied().filter(|id| id != lacking).collect();
        let error = fetch(
            &forge,
            &mirror,
            &answers(&o.commit, &pack_of(&forge, &objects)),
        )
        .unwrap_err();
        assert_eq!(error.reason(), "bad-pack", "{error}");
        untouched(&mirror, &o.commit);
    }
}

#[test]
fn a_pack_of_something_else_than_asked_for_is_not_taken() {
    let forge = Forge::new();
    let o = objects(&forge);
    let pack = pack_of(&forge, &[&o.blob]);
    let mirror = forge.mirror();
    let error = fetch(&forge, &mirror, &answers(&o.commit, &pack)).unwrap_err();
    assert_eq!(error.reason(), "bad-pack", "{error}");
    untouched(&mirror, &o.commit);
    // A branch that is no commit at all.
    let error = fetch(&forge, &mirror, &answers(&o.blob, &pack)).unwrap_err();
    assert_eq!(error.reason(), "no-commit", "{error}");
    untouched(&mirror, &o.blob);
}

#[test]
fn a_pack_that_is_cut_or_changed_anywhere_is_not_taken() {
    let forge = Forge::new();
    let o = objects(&forge);
    let pack = pack_of(&forge, &[&o.commit, &o.tree, &o.blob]);
    let mirror = forge.mirror();
    for at in (0..pack.len()).step_by(7) {
        let error = fetch(&forge, &mirror, &answers(&o.commit, &pack[..at])).unwrap_err();
        assert_eq!(error.reason(), "bad-pack", "cut at {at}: {error}");
        let mut changed = pack.clone();
        changed[at] ^= 0x40;
        let error = fetch(&forge, &mirror, &answers(&o.commit, &changed)).unwrap_err();
        assert_eq!(error.reason(), "bad-pack", "changed at {at}: {error}");
    }
    untouched(&mirror, &o.commit);
}

#[test]
fn a_pack_that_something_follows_is_not_taken() {
    let forge = Forge::new();
    let o = objects(&forge);
    let pack = pack_of(&forge, &[&o.commit, &o.tree, &o.blob]);
    let mirror = forge.mirror();
    // In the same packet, in the next one, and as much as no buffer takes.
    for more in [1, 20, 2_000, 200_000] {
        let long = [&*pack, &vec![0; more]].concat();
        let error = fetch(&forge, &mirror, &answers(&o.commit, &long)).unwrap_err();
        assert_eq!(error.reason(), "bad-pack", "{more}: {error}");
    }
    untouched(&mirror, &o.commit);
    let fetched = fetch(&forge, &mirror, &answers(&o.commit, &pack)).unwrap();
    assert_eq!(fetched.objects, 3);
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_pack_is_no_pack() {
    let forge = Forge::new();
    let o = objects(&forge);
    let whole = answers(&o.commit, &pack_of(&forge, &[&o.commit, &o.tree, &o.blob]));
    let mirror = forge.mirror();
    let file = forge.dir.path().join("cut");
    for at in (0..whole.len() - 1).step_by(11) {
        fs::write(&file, &whole[..at]).unwrap();
        let options = fake_ssh(forge.dir.path(), &format!("cat '{}'", file.display()));
        let wanted = RefSelector::Branch("main".into());
        let fetched = Remote::connect(&"forge:x".parse().unwrap(), &options)
            .map_err(FetchError::from)
            .and_then(|mut remote| {
                let listed = remote.list(&wanted)?;
                support::fetch(
                    &mut remote,
                    &mirror,
                    &wanted.resolve(&listed).unwrap(),
                    &mut |_| {},
                )
            });
        assert_eq!(fetched.unwrap_err().reason(), "protocol", "cut at {at}");
    }
    untouched(&mirror, &o.commit);
}

#[test]
fn what_the_server_reports_in_the_middle_of_a_pack_is_told() {
    let forge = Forge::new();
    let o = objects(&forge);
    let mut said = answers(&o.commit, b"");
    said.truncate(said.len() - 4);
    said.extend(packet(b"\x03out of \x1b[31mdisk\n"));
    let error = fetch(&forge, &forge.mirror(), &said).unwrap_err();
    assert_eq!(
        error.to_string(),
        "forge:x: the server reports: out of [31mdisk"
    );
}

/// A stream that gives bytes and takes everything.
struct Canned(Cursor<Vec<u8>>);

impl Read for Canned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Canned {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything we ever do with a server's bytes short of the indexer.
fn converse(bytes: Vec<u8>) {
    let mut wire = Wire::new(Canned(Cursor::new(bytes)));
    let Ok(mut greeting) = Greeting::read(&mut wire) else {
        return;
    };
    if wire::refs::list(&mut wire, &mut greeting, &["refs/", "HEAD"]).is_err() {
        return;
    }
    let want = ObjectId::parse(&"1".repeat(40)).unwrap();
    if wire::pack::request(&mut wire, &mut greeting, want, &[want], &[]).is_err() {
        return;
    }
    while let Ok(Some(_)) = wire::pack::next_chunk(&mut wire) {}
}

/// Lines a server may say, and some it may not.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let id = "[0-9a-f]{40}";
    prop_oneof![
        Just(b"0000".to_vec()),
        Just(b"0001".to_vec()),
        Just(b"0002".to_vec()),
        Just(b"0003".to_vec()),
        Just(b"0004".to_vec()),
        Just(packet(b"version 2\n")),
        Just(packet(b"version 1\n")),
        Just(packet(b"ls-refs\n")),
        Just(packet(b"fetch=shallow\n")),
        Just(packet(b"packfile\n")),
        Just(packet(b"NAK\n")),
        Just(packet(b"\x02hello")),
        (id, "[ -~]{0,30}").prop_map(|(id, rest)| packet(format!("{id} {rest}\n").as_bytes())),
        (id, "[ -~]{0,30}")
            .prop_map(|(id, rest)| packet(format!("{id} refs/x\0{rest}").as_bytes())),
        id.prop_map(|id| packet(
            format!("{id} refs/tags/a peeled:{id} symref-target:b").as_bytes()
        )),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| packet(&bytes)),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_of_a_server_make_us_panic(lines in prop::collection::vec(line(), 0..30)) {
        converse(lines.concat());
    }

    #[test]
    fn no_bytes_at_all_make_us_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        converse(bytes);
    }
}
