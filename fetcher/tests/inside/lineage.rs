//! How a fetched revision stands to the live one, with a mirror that has the trees of a few revisions and no history:
//! over each version of the protocol, with servers that can leave out trees and that cannot.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::git_support::{Forge, oid, script, write_files};
use super::support::repository;
use crate::deploy::FailureClass;
use crate::deploy::source::{Candidate, Lineage, Source};
use crate::git::fetch::LAST;
use crate::git::listing::ListedRevision;
use crate::git::wire::Between;
use crate::git::{Remote, RemoteOptions};
use crate::repository::Repository;
use crate::worker::Tips;
use pp_objects::ObjectId;

/// A kind of server.
#[derive(Debug, Clone, Copy)]
struct Server {
    old_protocol: bool,
    filters: bool,
}

const SERVERS: [Server; 4] = [
    server(false, true),
    server(false, false),
    server(true, true),
    server(true, false),
];

const fn server(old_protocol: bool, filters: bool) -> Server {
    Server {
        old_protocol,
        filters,
    }
}

/// A repository on such a server, and what pp-fetcher has of it.
struct Deployed {
    forge: Forge,
    repository: Repository,
}

impl Deployed {
    fn new(server: Server) -> Self {
        let forge = Forge::new();
        // What the server packs and sends is counted by the requests that reach it.
        let git = forge.dir.path().join("served-by");
        let protocol = if server.old_protocol {
            "unset GIT_PROTOCOL; "
        } else {
            ""
        };
        let trace = forge.dir.path().join("trace");
        let body = format!(
            "{protocol}GIT_TRACE_PACKET='{}' exec git \"$@\"",
            trace.display()
        );
        script(&git, &body);
        if server.filters {
            forge.git(&["config", "uploadpack.allowFilter", "true"]);
        }
        let mut deployed = Self {
            repository: repository(&text_of(&forge, "branch = \"main\""), forge.mirror_path()),
            forge,
        };
        deployed.repository = deployed.repository.with_git(git);
        deployed
    }

    /// Fetches the branch.
    fn fetch(&self) -> Box<dyn Candidate + '_> {
        let listing = self.repository.poll(&[]).unwrap();
        listing.fetch(&mut |_| {}).unwrap()
    }

    /// Commits a change of more files than a pack of few objects has.
    fn commit_many(&self, round: usize) {
        let files: Vec<_> = (0..30)
            .map(|n| (format!("many/{n}"), format!("{round} {n}\n")))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (&**name, &**text))
            .collect();
        write_files(&self.forge.repo(), &files);
        self.forge.git(&["add", "-A"]);
        self.forge.git(&["commit", "-q", "-m", "many files"]);
    }

    /// Fetches the branch, says how it stands to `live`, and checks it out.
    fn deploy(&self, live: ObjectId) -> Lineage {
        let new = self.tip();
        let mut candidate = self.fetch();
        let lineage = candidate.lineage(&live).unwrap();
        self.check_out(&mut *candidate, new);
        lineage
    }

    /// That the release is what git has of the revision.
    fn check_out(&self, candidate: &mut dyn Candidate, new: ObjectId) {
        let scratch = tempfile::tempdir_in(self.forge.dir.path()).unwrap();
        let (ours, theirs) = (scratch.path().join("ours"), scratch.path().join("theirs"));
        candidate.check_out(None, &ours, &mut |_| {}).unwrap();
        fs::create_dir(&theirs).unwrap();
        let into = format!("--work-tree={}", theirs.display());
        let index = format!("core.worktree={}", theirs.display());
        self.forge
            .git(&["-c", &index, &into, "read-tree", &new.to_string()]);
        self.forge
            .git(&["-c", &index, &into, "checkout-index", "-a", "-f"]);
        let differs = Command::new("diff")
            .arg("-r")
            .args([&ours, &theirs])
            .status();
        assert!(differs.unwrap().success(), "{new}");
        self.forge.git(&["read-tree", "HEAD"]);
    }

    fn first(&self) -> ObjectId {
        let tip = self.tip();
        self.deploy(tip);
        self.repository.keep(&tip).unwrap();
        tip
    }

    fn tip(&self) -> ObjectId {
        oid(&self.forge.git(&["rev-parse", "main"]))
    }

    fn mirror(&self, arguments: &[&str]) -> String {
        let mirror = format!("--git-dir={}", self.forge.mirror_path().display());
        self.forge.git(&[&[&*mirror], arguments].concat())
    }

    /// The commits that the mirror has.
    fn commits(&self) -> Vec<ObjectId> {
        let all = "--batch-all-objects";
        let listed = self.mirror(&["cat-file", all, "--batch-check=%(objecttype) %(objectname)"]);
        let commits = listed
            .lines()
            .filter_map(|line| line.strip_prefix("commit "));
        commits.map(oid).collect()
    }

    /// How many requests for packs have reached the server.
    fn requests(&self) -> usize {
        let trace = fs::read_to_string(self.forge.dir.path().join("trace")).unwrap_or_default();
        let wants = trace
            .lines()
            .filter(|line| line.contains("upload-pack< want "));
        wants.count()
    }

    /// Merges a branch of one commit that was made from `fork`.
    fn merge_from(&self, fork: ObjectId, name: &str) -> ObjectId {
        self.forge
            .git(&["checkout", "-q", "-b", name, &fork.to_string()]);
        self.forge.commit(name, name, name);
        self.forge.git(&["checkout", "-q", "main"]);
        self.forge
            .git(&["merge", "-q", "--no-ff", "-m", "merge", name]);
        self.tip()
    }
}

fn text_of(forge: &Forge, follow: &str) -> String {
    format!(
        "repository = \"file://{}\"\n{follow}\n[deploy]\nroot = \"/srv/todo\"\n",
        forge.repo().display()
    )
}

fn each(test: impl Fn(&Deployed, Server)) {
    for server in SERVERS {
        test(&Deployed::new(server), server);
    }
}

#[test]
fn the_first_fetch_brings_one_commit_of_a_long_history() {
    each(|deployed, server| {
        for n in 0..20 {
            deployed.forge.commit("file", &format!("{n}"), "next");
        }
        let first = deployed.first();
        assert_eq!(deployed.commits(), [first], "{server:?}");
        assert_eq!(
            deployed.mirror(&["rev-list", "--count", "--all"]),
            "1",
            "{server:?}"
        );
        deployed.mirror(&["fsck", "--strict", "--connectivity-only"]);
    });
}

#[test]
fn a_push_of_one_commit_takes_one_request() {
    each(|deployed, server| {
        let first = deployed.first();
        let second = deployed.forge.commit("file", "2", "next");
        let before = deployed.requests();
        assert_eq!(deployed.deploy(first), Lineage::Descendant, "{server:?}");
        assert_eq!(deployed.requests() - before, 1, "{server:?}");
        for n in 0..50 {
            deployed.forge.commit("file", &format!("n{n}"), "next");
        }
        let before = deployed.requests();
        assert_eq!(deployed.deploy(second), Lineage::Descendant, "{server:?}");
        // One for the tree, one or two for the commits between.
        assert!(deployed.requests() - before <= 3, "{server:?}");
        assert_eq!(
            deployed.commits().len(),
            3,
            "the way between is not kept: {server:?}"
        );
    });
}

#[test]
fn a_tree_that_is_walked_while_the_forge_looks_is_judged_after_the_history() {
    each(|deployed, server| {
        let live = deployed.first();
        deployed.commit_many(0);
        deployed.commit_many(1);
        // A link out of the release, which no checkout takes.
        symlink("/etc/passwd", deployed.forge.repo().join("out")).unwrap();
        deployed.forge.git(&["add", "-A"]);
        deployed.forge.git(&["commit", "-q", "-m", "a link out"]);
        let scratch = tempfile::tempdir_in(deployed.forge.dir.path()).unwrap();
        let into = scratch.path().join("refused");
        let mut candidate = deployed.fetch();
        assert_eq!(candidate.lineage(&live).unwrap(), Lineage::Descendant);
        let refused = candidate.check_out(None, &into, &mut |_| {}).unwrap_err();
        assert_eq!(refused.class, FailureClass::Revision, "{server:?}");
        assert!(refused.what.contains("because of out"), "{}", refused.what);
        assert!(!into.exists(), "{server:?}: left behind");
        // Of a rewritten history the rewriting is told, and not what else is wrong.
        deployed.repository.keep(&live).unwrap();
        deployed.forge.git(&["checkout", "-q", "--orphan", "other"]);
        deployed
            .forge
            .git(&["commit", "-q", "-m", "from the start"]);
        deployed.forge.git(&["branch", "-M", "other", "main"]);
        assert_ne!(deployed.tip(), live);
        let mut candidate = deployed.fetch();
        assert_eq!(candidate.lineage(&live).unwrap(), Lineage::Other);
    });
}

#[test]
fn after_a_pack_of_many_objects_the_commits_between_are_asked_for_at_once() {
    each(|deployed, server| {
        let fork = deployed.tip();
        let live = deployed.first();
        for round in 0..3 {
            deployed.commit_many(round);
        }
        let tip = deployed.tip();
        let before = deployed.requests();
        let mut candidate = deployed.fetch();
        if !server.old_protocol && server.filters {
            let give_up = Instant::now() + Duration::from_secs(10);
            while deployed.requests() < before + 2 && Instant::now() < give_up {
                sleep(Duration::from_millis(5));
            }
            assert_eq!(deployed.requests() - before, 2, "{server:?}");
        }
        // The question that was asked is answered; another one takes a conversation of its own.
        assert_eq!(candidate.lineage(&live).unwrap(), Lineage::Descendant);
        deployed.check_out(&mut *candidate, tip);
        deployed.repository.keep(&tip).unwrap();
        // One commit names the live revision itself: the answer is not needed.
        deployed.commit_many(3);
        assert_eq!(deployed.deploy(tip), Lineage::Descendant, "{server:?}");
        deployed.repository.keep(&deployed.tip()).unwrap();
        for round in 4..7 {
            deployed.commit_many(round);
        }
        let mut candidate = deployed.fetch();
        assert_eq!(candidate.lineage(&fork).unwrap(), Lineage::Descendant);
        let live = deployed.tip();
        deployed.check_out(&mut *candidate, live);
        deployed.repository.keep(&live).unwrap();
        deployed
            .forge
            .git(&["reset", "-q", "--hard", &fork.to_string()]);
        deployed.commit_many(8);
        assert_eq!(deployed.deploy(live), Lineage::Other, "{server:?}");
    });
}

#[test]
fn history_is_asked_ahead_only_for_the_app_itself_and_only_without_trees() {
    for (pin, filters, asked) in [
        (LAST, true, true),
        (LAST, false, false),
        ("submodule-1", true, false),
    ] {
        let deployed = Deployed::new(server(false, filters));
        let mirror = deployed.forge.mirror();
        let first = deployed.tip();
        let another = Between {
            want: first,
            have: first,
        };
        let fetch = || {
            let options = RemoteOptions::default();
            let mut remote = Remote::connect(&deployed.forge.url(), &options).unwrap();
            let revision = ListedRevision {
                reference: "main".to_owned(),
                id: deployed.tip(),
                commit: deployed.tip(),
            };
            let mut worker = mirror.open().unwrap();
            let fetched = remote.fetch(&mut worker, &revision, pin, &mut |_| {});
            fetched.unwrap();
            !remote.can_be_asked_for(another)
        };
        assert!(!fetch(), "{pin} {filters}");
        deployed.commit_many(1);
        deployed.commit_many(2);
        assert_eq!(fetch(), asked, "{pin} {filters}");
    }
}

#[test]
fn merges_of_branches_from_before_the_live_revision_bring_no_old_history() {
    each(|deployed, server| {
        let fork = deployed.tip();
        for n in 0..30 {
            deployed.forge.commit("file", &format!("{n}"), "next");
        }
        let mut live = deployed.first();
        for round in 0..3 {
            deployed.merge_from(fork, &format!("a{round}"));
            let tip = deployed.merge_from(fork, &format!("b{round}"));
            assert_eq!(deployed.deploy(live), Lineage::Descendant, "{server:?}");
            deployed.repository.keep(&tip).unwrap();
            live = tip;
        }
        assert_eq!(deployed.commits().len(), 4, "{server:?}");
    });
}

#[test]
fn what_was_there_before_the_live_revision_comes_again() {
    each(|deployed, server| {
        let old: String = (0..2_000).map(|n| format!("line {n}\n")).collect();
        deployed.forge.commit("dir/file", &old, "old");
        deployed.forge.commit("dir/file", "new", "new");
        let live = deployed.first();
        // The old file, its directory and a thin delta on it: nothing of that is in the mirror.
        deployed.forge.commit("dir/file", &old, "old again");
        deployed
            .forge
            .commit("copy", &format!("{old}more\n"), "a copy");
        assert_eq!(deployed.deploy(live), Lineage::Descendant, "{server:?}");
    });
}

#[test]
fn a_rewritten_history_and_another_branch_are_on_another_line() {
    each(|deployed, server| {
        let fork = deployed.tip();
        deployed.forge.commit("file", "live", "live");
        let live = deployed.first();
        // The server still has the live revision, as a forge has for a while.
        deployed
            .forge
            .git(&["reset", "-q", "--hard", &fork.to_string()]);
        for n in 0..3 {
            deployed.forge.commit("other", &format!("{n}"), "other");
        }
        assert_eq!(deployed.deploy(live), Lineage::Other, "{server:?}");
        // And now no longer.
        deployed
            .forge
            .git(&["reflog", "expire", "--expire=now", "--all"]);
        deployed.forge.git(&["gc", "-q", "--prune=now"]);
        deployed.forge.commit("other", "again", "other");
        let before = deployed.requests();
        assert_eq!(deployed.deploy(live), Lineage::Other, "{server:?}");
        assert_eq!(
            deployed.requests() - before,
            2,
            "no second answer is asked for: {server:?}"
        );
    });
}

#[test]
fn a_branch_that_was_set_back_is_older() {
    each(|deployed, server| {
        let old = deployed.tip();
        for n in 0..5 {
            deployed.forge.commit("file", &format!("{n}"), "next");
        }
        let live = deployed.first();
        deployed
            .forge
            .git(&["reset", "-q", "--hard", &old.to_string()]);
        assert_eq!(deployed.deploy(live), Lineage::Ancestor, "{server:?}");
    });
}

#[test]
fn an_unrelated_history_is_on_another_line() {
    each(|deployed, server| {
        let live = deployed.first();
        deployed.forge.git(&["checkout", "-q", "--orphan", "new"]);
        deployed.forge.commit("file", "new", "new");
        deployed.forge.git(&["branch", "-q", "-M", "new", "main"]);
        assert_eq!(deployed.deploy(live), Lineage::Other, "{server:?}");
    });
}

#[test]
fn a_lost_mirror_loses_no_protection() {
    each(|deployed, server| {
        let old = deployed.tip();
        deployed.forge.commit("file", "1", "next");
        let live = deployed.first();
        for n in 0..3 {
            deployed.forge.commit("file", &format!("n{n}"), "next");
        }
        fs::remove_dir_all(deployed.forge.mirror_path()).unwrap();
        assert_eq!(deployed.deploy(live), Lineage::Descendant, "{server:?}");
        fs::remove_dir_all(deployed.forge.mirror_path()).unwrap();
        deployed
            .forge
            .git(&["reset", "-q", "--hard", &old.to_string()]);
        assert_eq!(deployed.deploy(live), Lineage::Ancestor, "{server:?}");
    });
}

#[test]
fn a_mirror_with_all_of_the_history_goes_on_being_used_and_shrinks_when_it_is_tidied() {
    each(|deployed, server| {
        for n in 0..20 {
            deployed.forge.commit("file", &format!("{n}"), "next");
        }
        let mut live = deployed.tip();
        // As an earlier version of pp-fetcher has left the mirror.
        deployed.forge.mirror();
        let from = deployed.forge.repo().display().to_string();
        deployed.mirror(&[
            "-c",
            "fetch.unpackLimit=1",
            "fetch",
            "-q",
            &from,
            "main:refs/pp/live",
            "main:refs/pp/last-fetched",
        ]);
        assert_eq!(deployed.commits().len(), 21);
        deployed.forge.commit("file", "a", "next");
        let next = deployed.forge.commit("file", "b", "next");
        assert_eq!(deployed.deploy(live), Lineage::Descendant, "{server:?}");
        assert_eq!(deployed.commits().len(), 22, "{server:?}");
        // An ancestor is found without the server.
        deployed.forge.git(&["reset", "-q", "--hard", "HEAD~5"]);
        let before = deployed.requests();
        assert_eq!(deployed.deploy(live), Lineage::Ancestor, "{server:?}");
        assert_eq!(deployed.requests(), before, "{server:?}");
        deployed
            .forge
            .git(&["reset", "-q", "--hard", &next.to_string()]);
        for n in 0..52 {
            let tip = deployed.forge.commit("file", &format!("m{n}"), "next");
            assert_eq!(deployed.deploy(live), Lineage::Descendant, "{n} {server:?}");
            deployed.repository.keep(&tip).unwrap();
            live = tip;
        }
        assert!(deployed.commits().len() < 10, "{server:?}");
        deployed.mirror(&["fsck", "--strict", "--connectivity-only"]);
    });
}

#[test]
fn the_server_of_a_submodule_is_told_nothing_of_the_app() {
    each(|deployed, server| {
        let first = deployed.first();
        let unknown = ObjectId::parse(&"1".repeat(40)).unwrap();
        let told = |pin: &str| {
            let mut worker = deployed.forge.mirror().open().unwrap();
            worker.tips_without(unknown, pin).unwrap().unwrap()
        };
        assert_eq!(told("submodule-73"), Tips::default(), "{server:?}");
        deployed.forge.commit("file", "1", "next");
        let tip = deployed.forge.commit("file", "2", "next");
        deployed.deploy(first);
        let app = told(LAST);
        let known = |mut all: Vec<ObjectId>| {
            all.sort();
            all
        };
        assert_eq!(known(app.commits), known(vec![first, tip]), "{server:?}");
        assert_eq!(known(app.boundary), known(vec![tip]), "{server:?}");
    });
}

#[test]
fn a_signed_tag_of_a_revision_that_is_here_takes_a_tag_alone() {
    each(|deployed, server| {
        let live = deployed.first();
        deployed.forge.commit("file", "1", "next");
        let tip = deployed.forge.commit("file", "2", "next");
        deployed.deploy(live);
        deployed.forge.git(&["tag", "-a", "-m", "a release", "v1"]);
        let git: PathBuf = deployed.forge.dir.path().join("served-by");
        let text = text_of(&deployed.forge, "tag = \"v*\"");
        let tagged = repository(&text, deployed.forge.mirror_path()).with_git(git);
        let listing = tagged.poll(&[]).unwrap();
        assert_eq!(listing.found().revision, tip, "{server:?}");
        let mut candidate = listing.fetch(&mut |_| {}).unwrap();
        assert_eq!(
            candidate.lineage(&live).unwrap(),
            Lineage::Descendant,
            "{server:?}"
        );
        deployed.check_out(&mut *candidate, tip);
    });
}
