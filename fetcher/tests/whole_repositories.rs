//! Repositories as people have them, from their first commit to today: what a deploy of each is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

mod site;

use std::fs;
use std::os::unix::fs::symlink;

use site::Site;

fn commit(site: &Site, name: &str) {
    fs::write(site.home.path().join("work/name"), name).unwrap();
    site.git(&["-C", "work", "add", "-A"]);
    site.git(&["-C", "work", "commit", "-q", "-m", name]);
}

/// A release of each month for five years, from a branch of its own that is cut off main, some with mends
/// on that branch; now and then a candidate, and names that are none of a version.
#[test]
fn five_years_of_calendar_versions_on_release_branches() {
    let site = Site::new();
    let at = site.home.path().display();
    site.home.app(
        "todo",
        &format!(
            "repository = \"file://{at}/todo.git\"\ntag = \"*\"\n[deploy]\nroot = \"{at}/root\"\nkeep = 2\n"
        ),
    );
    commit(&site, "first");
    let mut highest = String::new();
    let mut deployed = 0;
    for year in 2021..2026 {
        for month in 1..=12 {
            site.git(&["-C", "work", "checkout", "-q", "main"]);
            commit(&site, &format!("work of {year}-{month}"));
            let branch = format!("release/{year}.{month:02}");
            site.git(&["-C", "work", "checkout", "-q", "-b", &branch]);
            for mend in 0..=(month % 3) {
                highest = match mend {
                    0 => format!("{year}.{month:02}"),
                    n => format!("{year}.{month:02}.{n}"),
                };
                commit(&site, &highest);
                site.git(&["-C", "work", "tag", &highest]);
            }
            if month == 6 {
                site.git(&["-C", "work", "tag", &format!("{year}.{:02}rc1", month + 1)]);
                site.git(&[
                    "-C",
                    "work",
                    "tag",
                    &format!("before-the-summer-of-{year}-x"),
                ]);
            }
            if month % 4 == 0 {
                site.git(&["-C", "work", "push", "-q", "--all", "../todo.git"]);
                site.git(&["-C", "work", "push", "-q", "--tags", "../todo.git"]);
                site.poll().ended(0).has(&["good"]);
                assert_eq!(site.served().as_deref(), Some(&*highest));
                deployed += 1;
            }
        }
    }
    assert_eq!(deployed, 15);
    // A mend of last year's line is older than what is live.
    site.git(&["-C", "work", "checkout", "-q", "release/2024.05"]);
    commit(&site, "2024.05.9");
    site.git(&["-C", "work", "tag", "2024.05.9"]);
    site.git(&["-C", "work", "push", "-q", "--tags", "../todo.git"]);
    site.poll().ended(0).has(&["nothing new"]);
    assert_eq!(site.served().as_deref(), Some(&*highest));
}

/// Screenshots in Git LFS, a submodule and links for the tests alone, and one link that the app needs.
#[test]
fn large_files_submodules_and_fixtures_that_only_the_tests_need() {
    let site = Site::with_one_live();
    let work = site.home.path().join("work");
    let pointer = "version https://git-lfs.github.com/spec/v1\n\
         oid sha256:1111111111111111111111111111111111111111111111111111111111111111\nsize 12345\n";
    fs::create_dir_all(work.join("docs/screens")).unwrap();
    fs::create_dir_all(work.join("tests/fixtures")).unwrap();
    fs::write(
        work.join(".gitattributes"),
        "*.png filter=lfs diff=lfs merge=lfs -text\n",
    )
    .unwrap();
    for n in 0..20 {
        fs::write(work.join(format!("docs/screens/{n}.png")), pointer).unwrap();
    }
    symlink("/etc/hostname", work.join("tests/fixtures/absolute")).unwrap();
    symlink("../../../../outside", work.join("tests/fixtures/outside")).unwrap();
    symlink("name", work.join("alias")).unwrap();
    let head = site.git(&["-C", "work", "rev-parse", "HEAD"]);
    let link = format!("160000,{},tests/data", head.trim());
    site.git(&["-C", "work", "update-index", "--add", "--cacheinfo", &link]);
    fs::create_dir_all(work.join("tests/data")).unwrap();
    site.push("whole", "200", "");
    // As it stands it is refused, and each refusal names one place and the key.
    site.poll()
        .ended(1)
        .has(&["the tree is refused because of"]);
    site.configure(
        "",
        "[tree]\nleave_out = [\"tests/fixtures/*\"]\nlfs_pointers = [\"docs/*\"]\n\
         [[submodule]]\npath = \"tests/data\"\nempty = true\n",
    );
    site.poll().ended(0);
    let current = site.root().join("current");
    assert_eq!(
        fs::read_to_string(current.join("docs/screens/7.png")).unwrap(),
        pointer
    );
    assert_eq!(fs::read_to_string(current.join("alias")).unwrap(), "whole");
    assert_eq!(
        fs::read_dir(current.join("tests/fixtures"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(fs::read_dir(current.join("tests/data")).unwrap().count(), 0);
    // And the next one, most of which is copied from the live release.
    site.push("next", "200", "");
    site.poll().ended(0);
    assert_eq!(site.served().as_deref(), Some("next"));
}
