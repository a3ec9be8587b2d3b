//! Every way in which a directory can differ from a tree.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn entry(mode: &str, name: &str, id: Id) -> Vec<u8> {
    let mut raw = format!("{mode} {name}\0").into_bytes();
    raw.extend(id.as_bytes());
    raw
}

/// Nothing out of the ordinary.
fn wanted(most: u64) -> Wanted<'static> {
    static RULES: std::sync::LazyLock<TreeRules> = std::sync::LazyLock::new(TreeRules::default);
    static NONE: BTreeSet<PathBuf> = BTreeSet::new();
    Wanted {
        submodules: &NONE,
        rules: &RULES,
        most,
    }
}

/// A directory as a checkout makes it, and the tree that it holds.
fn made() -> (tempfile::TempDir, Tree) {
    let blob = |content: &[u8]| Id::of(Kind::Blob, content).unwrap();
    let inner = [
        entry("120000", "link", blob(b"../file")),
        entry("100755", "run", blob(b"#!\n")),
    ]
    .concat();
    let inner_id = Id::of(Kind::Tree, &inner).unwrap();
    let outer = [
        entry("40000", "dir", inner_id),
        entry("100664", "file", blob(b"text")),
    ]
    .concat();
    let outer_id = Id::of(Kind::Tree, &outer).unwrap();
    let trees = BTreeMap::from([(inner_id, inner), (outer_id, outer)]);
    let tree = from_tree(
        outer_id,
        &wanted(10),
        &mut |id, _| Ok(trees[&id].clone()),
        |d| d,
    )
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("dir")).unwrap();
    symlink("../file", dir.path().join("dir/link")).unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    fs::write(dir.path().join("dir/run"), "#!\n").unwrap();
    mode(&dir.path().join("file"), 0o664);
    mode(&dir.path().join("dir/run"), 0o775);
    (dir, tree)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn every_forgery_is_seen_and_named() {
    type Forgery = fn(&Path);
    let forgeries: [(&str, Forgery); 13] = [
        ("file", |d| fs::write(d.join("file"), "tex7").unwrap()),
        ("file", |d| {
            fs::write(d.join("file"), "text and more").unwrap();
        }),
        ("file", |d| fs::remove_file(d.join("file")).unwrap()),
        ("file", |d| mode(&d.join("file"), 0o4664)),
        ("file", |d| mode(&d.join("file"), 0o764)),
        ("dir/run", |d| mode(&d.join("dir/run"), 0o664)),
        ("file", |d| {
            fs::hard_link(d.join("file"), d.join(".second")).unwrap();
        }),
        ("extra", |d| fs::write(d.join("extra"), "").unwrap()),
        ("dir/extra", |d| {
            fs::create_dir(d.join("dir/extra")).unwrap();
        }),
        ("dir/link", |d| {
            fs::remove_file(d.join("dir/link")).unwrap();
            symlink("/etc/passwd", d.join("dir/link")).unwrap();
        }),
        ("dir/link", |d| {
            fs::remove_file(d.join("dir/link")).unwrap();
            fs::write(d.join("dir/link"), "../file").unwrap();
        }),
        ("file", |d| {
            fs::rename(d.join("file"), d.join("elsewhere")).unwrap();
            symlink("elsewhere", d.join("file")).unwrap();
        }),
        ("dir", |d| {
            fs::rename(d.join("dir"), d.join("elsewhere")).unwrap();
            symlink("elsewhere", d.join("dir")).unwrap();
        }),
    ];
    let (dir, tree) = made();
    assert_eq!(check(dir.path(), &tree, wanted(10).rules), Ok(()));
    for (n, (path, forge)) in forgeries.into_iter().enumerate() {
        let (dir, tree) = made();
        forge(dir.path());
        let found = check(dir.path(), &tree, wanted(10).rules).unwrap_err();
        assert_eq!(found.path, path, "forgery {n}: {found:?}");
    }
}

#[test]
fn what_a_checkout_refuses_is_refused_here_too() {
    let id = Id::of(Kind::Blob, b"/etc/passwd").unwrap();
    for (mode, name) in [("100644", ".git"), ("100644", ".."), ("160000", "module")] {
        let raw = entry(mode, name, id);
        let root = Id::of(Kind::Tree, &raw).unwrap();
        let tree = from_tree(root, &wanted(10), &mut |_, _| Ok(raw.clone()), |d| d);
        let dir = tempfile::tempdir().unwrap();
        if name == "module" {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert!(
            tree.and_then(|tree| check(dir.path(), &tree, wanted(10).rules))
                .is_err(),
            "{name}"
        );
    }
    let raw = entry("120000", "link", id);
    let root = Id::of(Kind::Tree, &raw).unwrap();
    let tree = from_tree(root, &wanted(10), &mut |_, _| Ok(raw.clone()), |d| d).unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    assert!(
        check(dir.path(), &tree, wanted(10).rules).is_err(),
        "a link out of the release"
    );
}

#[test]
fn a_tree_that_explodes_is_not_gathered() {
    let empty = Id::of(Kind::Tree, b"").unwrap();
    let mut trees = BTreeMap::from([(empty, Vec::new())]);
    let mut below = empty;
    for _ in 0..40 {
        let raw = [entry("40000", "a", below), entry("40000", "b", below)].concat();
        below = Id::of(Kind::Tree, &raw).unwrap();
        trees.insert(below, raw);
    }
    let found = from_tree(
        below,
        &wanted(1000),
        &mut |id, _| Ok(trees[&id].clone()),
        |d| d,
    )
    .unwrap_err();
    assert!(found.how.contains("more than 1000"), "{found:?}");
}
