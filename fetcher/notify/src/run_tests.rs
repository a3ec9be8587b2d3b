//! Runs against an outbox on the disk, with targets that answer as the test says.

use std::cell::RefCell;

use super::*;
use crate::targets::Again;

/// A host with an outbox, a memory, and targets.
struct Site {
    directory: tempfile::TempDir,
    config: Config,
    told: RefCell<Vec<(String, String)>>,
    answers: RefCell<Vec<Result<(), Fault>>>,
    minute: std::cell::Cell<i64>,
    said: RefCell<Vec<String>>,
}

const TWO: &str = "[[target]]\nname = \"team\"\ntype = \"slack\"\nurl = \"https://h/x\"\n\
     [[target]]\nname = \"ops\"\ntype = \"mail\"\nto = [\"ops@example.org\"]\nevents = [\"stuck\"]\n";

impl Site {
    fn new(targets: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("outbox")).unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        let outbox = directory.path().join("outbox");
        let config = format!("outboxes = [{outbox:?}]\n{targets}");
        let site = Self {
            config: toml::from_str(&config).unwrap(),
            directory,
            told: RefCell::default(),
            answers: RefCell::default(),
            minute: 0.into(),
            said: RefCell::default(),
        };
        site.run();
        site
    }

    fn happens(&self, number: u32, kind: &str, code: &str) {
        let json = format!(
            r#"{{"schema":1,"id":"todo-{number}","at":"2026-11-27T12:00:00Z","host":"web1","app":"todo",
            "event":"{kind}","code":"{code}","revision":"{:040x}","attempt":{number}}}"#,
            number
        );
        let event: Event = serde_json::from_str(&json).unwrap();
        let outbox = Outbox::new(&self.directory.path().join("outbox"));
        outbox.append(&[event]).unwrap();
    }

    fn run(&self) {
        let store = Store::open(&self.directory.path().join("state"))
            .unwrap()
            .unwrap();
        let now = || Timestamp::from_second(1_800_000_000 + 60 * self.minute.get()).unwrap();
        let tell = |target: &Target, message: &Message| {
            let answer = self.answers.borrow_mut().pop().unwrap_or(Ok(()));
            if answer.is_ok() {
                let told = (target.name.clone(), message.id.clone());
                self.told.borrow_mut().push(told);
            }
            answer
        };
        let run = Run {
            config: &self.config,
            store: &store,
            passes: self.directory.path().join("passes"),
            now: &now,
            tell: &tell,
            say: &|line| self.said.borrow_mut().push(line.to_owned()),
        };
        run.run().unwrap();
    }

    fn told(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.told.borrow_mut())
    }
}

fn pair(target: &str, id: &str) -> (String, String) {
    (target.to_owned(), format!("pp-{id}"))
}

#[test]
fn each_target_is_told_what_it_wants_once() {
    let site = Site::new(TWO);
    site.happens(1, "failed", "build");
    site.happens(2, "stuck", "unhealthy");
    site.run();
    site.run();
    let expected = [
        pair("team", "todo-1"),
        pair("team", "todo-2"),
        pair("ops", "todo-2"),
    ];
    assert_eq!(site.told(), expected);
}

#[test]
fn what_the_outbox_held_before_the_first_run_is_old_news() {
    let site = Site::new(TWO);
    std::fs::remove_file(site.directory.path().join("state/memory.json")).unwrap();
    site.happens(1, "stuck", "unhealthy");
    site.run();
    assert_eq!(site.told(), []);
    site.happens(2, "stuck", "unhealthy");
    site.run();
    assert_eq!(site.told().len(), 2);
}

#[test]
fn a_target_that_is_away_is_told_later_in_order_and_holds_up_no_other() {
    let site = Site::new(TWO);
    let away = || Err(Fault::new(Again::Soon, "connection refused"));
    site.happens(1, "stuck", "unhealthy");
    site.happens(2, "recovered", "unhealthy");
    *site.answers.borrow_mut() = vec![Ok(()), away()];
    site.run();
    assert_eq!(site.told(), [pair("ops", "todo-1")]);
    site.run();
    assert_eq!(site.told(), [], "not at once");
    site.minute.set(1);
    site.run();
    assert_eq!(
        site.told(),
        [pair("team", "todo-1"), pair("team", "todo-2")]
    );
    let state = site.directory.path().join("state");
    let log = journal::last(&state, 10).unwrap();
    let outcomes: Vec<_> = log.iter().map(|line| line.outcome.as_str()).collect();
    assert_eq!(outcomes, ["again", "told", "told", "told"]);
}

#[test]
fn what_is_given_up_is_said_loudly() {
    let site = Site::new(TWO);
    site.happens(1, "failed", "build");
    for minute in 0..=25 * 60 {
        site.minute.set(minute);
        *site.answers.borrow_mut() = vec![Err(Fault::new(Again::Late, "status 404")); 9];
        site.run();
    }
    let said = site.said.borrow();
    let loud: Vec<_> = said.iter().filter(|line| line.starts_with("<3>")).collect();
    // The event, and the reminder a day later, which is not a day old yet.
    assert_eq!(loud.len(), 1, "{loud:?}");
    assert!(
        loud[0].contains("team WAS NOT TOLD within a day"),
        "{loud:?}"
    );
}

#[test]
fn a_memory_that_cannot_be_read_tells_nobody_anything_twice() {
    let site = Site::new(TWO);
    let path = site.directory.path().join("state/memory.json");
    std::fs::write(&path, "{").unwrap();
    let store = Store::open(&site.directory.path().join("state"))
        .unwrap()
        .unwrap();
    let why = store.load().unwrap_err();
    assert!(
        why.contains("memory.json") && why.contains("move it away"),
        "{why}"
    );
}

#[test]
fn a_message_that_a_server_does_not_take_holds_up_the_others_for_a_while_only() {
    let site = Site::new(TWO);
    let answers = || {
        Err(Fault {
            answered: true,
            ..Fault::new(Again::Soon, "status 500")
        })
    };
    site.happens(1, "failed", "build");
    for minute in [0, 1, 3, 8] {
        site.minute.set(minute);
        *site.answers.borrow_mut() = vec![answers()];
        site.run();
    }
    site.happens(2, "failed", "unhealthy");
    site.run();
    assert_eq!(site.told(), [pair("team", "todo-2")]);
    site.minute.set(60);
    site.run();
    assert_eq!(site.told(), [pair("team", "todo-1")]);
}

#[test]
fn what_an_attacker_writes_is_bounded_in_the_memory() {
    let site = Site::new(TWO);
    let outbox = Outbox::new(&site.directory.path().join("outbox"));
    let json = r#"{"schema":1,"id":"x","at":"2026-11-27T12:00:00Z","host":"h","app":"a","event":"failed"}"#;
    let event: Event = serde_json::from_str(json).unwrap();
    let long = "y".repeat(3000);
    let ids = (0..100).map(|n| Event {
        id: format!("{n}{long}"),
        ..event.clone()
    });
    let texts = (0..100).map(|n| Event {
        id: format!("t{n}"),
        app: Some(format!("app{n}")),
        subject: Some(long.clone()),
        reason: Some(long.clone()),
        ..event.clone()
    });
    outbox
        .append(&ids.chain(texts).collect::<Vec<_>>())
        .unwrap();
    site.run();
    let size = std::fs::metadata(site.directory.path().join("state/memory.json"))
        .unwrap()
        .len();
    assert!(size < 600_000, "{size}");
}
