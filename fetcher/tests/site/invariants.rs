//! What holds, whatever is done to the program and its surroundings. Every suite that kills it,
//! fills its disk or breaks what it stands on asserts these, and no weaker ones.
//!
//! - [`always`]: at every moment, a SIGKILL included.
//! - [`nothing_runs`]: when a poll has ended, however it ended.
//! - [`at_rest`]: when a poll has ended well.
//! - [`tidied`]: when a deploy has ended well.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pp_fetcher::Outcome;
use pp_objects::{Kind, ObjectId};

use super::Site;

/// Beside what is committed, a release holds this: our own file, the build's, the shared link.
const ADDED: [&str; 3] = ["REVISION", "built", "data"];

/// At every moment: `current` resolves to one complete, built release that was good, is being tried
/// or is gone back to; every release with a name is whole; the state can be read; the history is of
/// one piece.
pub fn always(site: &Site) {
    let state = site.state();
    for release in site.layout().on_disk() {
        whole(site, &release);
    }
    let current = site.layout().current().expect("current is ours");
    if let Some(current) = &current {
        let path = site.layout().release(current);
        let name = fs::read_to_string(path.join("name")).expect("current leads to a release");
        let built = fs::read_to_string(path.join("built")).expect("it was built");
        assert_eq!(built.trim(), name, "built before it was switched to");
        assert!(path.join("data").is_dir(), "its shared directory is there");
        let trying = state.trying.as_ref();
        let known = [
            state.live.as_ref().map(|live| &live.name),
            trying.map(|trying| &trying.release),
            trying.and_then(|trying| trying.previous_release.as_ref()),
        ];
        let nothing_was_good = state.live.is_none();
        assert!(
            nothing_was_good || known.contains(&Some(current)),
            "current is {current}, the state knows {known:?}"
        );
    } else {
        assert_eq!(state.live, None, "what is live is linked");
    }
    if let Some(live) = &state.live {
        assert!(
            site.layout().release(&live.name).is_dir(),
            "{live:?} is gone"
        );
    }
    history(site);
}

/// Each attempt was told once to the outbox, however often the pass that made it was cut short.
fn told(site: &Site) {
    let events = site.events();
    let ids: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
    assert_eq!(
        ids.len(),
        events.len(),
        "an event was told twice: {events:#?}"
    );
    let attempts = site.attempts();
    for ended in &attempts {
        let number = ended.attempt.number;
        let of_it = events.iter().filter(|event| event.attempt == Some(number));
        let count = of_it.count();
        let same = attempts
            .iter()
            .filter(|other| other.attempt.revision == ended.attempt.revision);
        // What could not be written down, as on a full disk, is made again by the next pass, and told then. Or the first of
        // the two was told, and the pass killed before it could remember that; a failure that comes again is no change.
        let again = same.clone().any(|other| other.attempt.number > number);
        let told_before = same.clone().any(|other| {
            let before = other.attempt.number < number && other.outcome == ended.outcome;
            let told = |event: &pp_events::Event| event.attempt == Some(other.attempt.number);
            before && other.attempt.code == ended.attempt.code && events.iter().any(told)
        });
        let failed = ended.outcome != Outcome::Good;
        let least = usize::from(!(again || failed && told_before));
        // A way back that failed and was tried again has an event for each outcome.
        let stuck = events
            .iter()
            .any(|event| event.attempt == Some(number) && event.event == pp_events::Kind::Stuck);
        let most = if stuck { 2 } else { 1 };
        assert!(
            (least..=most).contains(&count),
            "{count} events of {ended:?}: {events:#?}"
        );
    }
}

/// Every file is the commit's, byte for byte, and nothing else is there.
fn whole(site: &Site, release: &str) {
    let path = site.layout().release(release);
    let revision = site.layout().revision_of(release);
    let revision = revision.unwrap_or_else(|| panic!("{release} does not say what it is of"));
    let mut expected: BTreeSet<PathBuf> = ADDED.iter().map(|name| path.join(name)).collect();
    let id = revision.to_string();
    for line in site
        .git(&["--git-dir", "todo.git", "ls-tree", "-r", "-t", &id])
        .lines()
    {
        let (entry, name) = line.split_once('\t').unwrap();
        let [mode, kind, id] = entry.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let file = path.join(name);
        if kind == "blob" {
            let found = fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let id = ObjectId::parse(id).unwrap();
            assert!(
                id.names(Kind::Blob, &found),
                "{} is not the commit's",
                file.display()
            );
            let executable = fs::metadata(&file).unwrap().permissions().mode() & 0o100 != 0;
            assert_eq!(executable, mode == "100755", "{}", file.display());
        }
        expected.insert(file);
    }
    for entry in fs::read_dir(&path).unwrap() {
        let found = entry.unwrap().path();
        assert!(expected.contains(&found), "{} is too much", found.display());
    }
}

/// Numbers rise, each attempt was begun, and what is live is what was last found good.
fn history(site: &Site) {
    let (state, attempts) = (site.state(), site.attempts());
    let numbers: Vec<_> = attempts.iter().map(|ended| ended.attempt.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    // A crash between the history and the state leaves one line that the state does not know yet.
    let begun = state.next_attempt + u64::from(state.trying.is_none());
    assert!(
        numbers.iter().all(|n| *n < begun),
        "{numbers:?}, next is {}",
        state.next_attempt
    );
}

/// No process has anything to do with this host: neither ours nor one that a script has left, however
/// it has hidden. One that was killed is gone soon, not at once.
pub fn nothing_runs(site: &Site) {
    // What waits for the disk ends when the disk has answered: on a busy host that is not soon.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let left = running(site.home.path());
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left running: {left:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Every process that works in `home`, was started from it, or has its name in arguments or environment.
pub fn running(home: &Path) -> Vec<String> {
    let name = home.to_str().unwrap();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let at = process.path();
        let number = process.file_name();
        let pid = number
            .to_str()
            .and_then(|number| number.parse::<u32>().ok());
        if pid.is_none_or(|pid| pid == std::process::id()) {
            continue;
        }
        let links = ["cwd", "exe", "root"].map(|link| fs::read_link(at.join(link)).ok());
        let inside = links.iter().flatten().any(|path| path.starts_with(home));
        let text = |file: &str| {
            let bytes = fs::read(at.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let (arguments, environment) = (text("cmdline"), text("environ"));
        if inside || arguments.contains(name) || environment.contains(name) {
            found.push(format!("{} {arguments}", at.display()));
        }
    }
    found
}

/// After a poll that went well: what [`always`] holds; nothing is under way, half-made or left
/// over; what is linked is what is live, and the history ends in it.
pub fn at_rest(site: &Site) {
    always(site);
    nothing_runs(site);
    let state = site.state();
    assert_eq!(state.trying, None, "nothing is under way");
    let live = state.live.as_ref().map(|live| live.name.clone());
    assert_eq!(
        site.layout().current().unwrap(),
        live,
        "what is linked is live"
    );
    assert_eq!(leftovers(site), Vec::<PathBuf>::new(), "leftovers");
    told(site);
    let attempts = site.attempts();
    let good = attempts
        .iter()
        .rfind(|attempt| attempt.outcome == Outcome::Good);
    assert_eq!(
        good.and_then(|good| good.attempt.release().map(str::to_owned)),
        live,
        "{attempts:?}"
    );
}

/// After a deploy that nothing interrupted: `keep`, which is 2, and the last one that failed are all
/// there is, and nothing lies about in the mirror. A kill between a deploy's end and its tidying
/// leaves the tidying to the next deploy: a poll that finds nothing new writes nothing.
pub fn tidied(site: &Site) {
    let state = site.state();
    let releases = site.layout().on_disk();
    let gone = |release: &&String| !releases.contains(release);
    let gone: Vec<_> = state
        .earlier
        .iter()
        .map(|release| &release.name)
        .filter(gone)
        .collect();
    assert!(gone.is_empty(), "remembered and gone: {gone:?}");
    assert!(releases.len() <= 3, "{releases:?}");
    assert_eq!(leftovers_of_the_mirror(site), Vec::<PathBuf>::new());
}

/// Temporary names of ours.
fn leftovers(site: &Site) -> Vec<PathBuf> {
    let own = [
        site.root(),
        site.root().join("releases"),
        site.state_path(""),
    ];
    temporary(&own)
}

/// Locks and half-received packs.
fn leftovers_of_the_mirror(site: &Site) -> Vec<PathBuf> {
    let places = ["", "objects/pack", "refs", "refs/pp"];
    let mirror = places.map(|name| site.state_path("mirror.git").join(name));
    temporary(&mirror)
}

fn temporary(directories: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in directories
        .iter()
        .flat_map(fs::read_dir)
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let starts = [".", "incoming-", "pack_git2_", "tmp_"];
        if starts.iter().any(|start| name.starts_with(start)) || name.ends_with(".lock") {
            found.push(entry.path());
        }
    }
    found
}
