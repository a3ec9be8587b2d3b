//! Rule 19: what reaches the log, whatever is sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it is wrong"
)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Rig, me, mine, unit};
use pp_protocol::codec::{encode_request, frame};
use pp_protocol::{Ask, Request, VERSION, Verb};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

type Record = BTreeMap<String, String>;

#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<Record>>>);

struct Fields(Record);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Record::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
}

/// The records about one unit name or, without a name, all. One journal for the whole process.
fn journal() -> &'static Journal {
    static JOURNAL: std::sync::OnceLock<Journal> = std::sync::OnceLock::new();
    JOURNAL.get_or_init(|| {
        let journal = Journal::default();
        let subscriber = tracing_subscriber::registry().with(journal.clone());
        tracing::subscriber::set_global_default(subscriber).unwrap();
        journal
    })
}

fn about(event: &str, unit: &str) -> Vec<Record> {
    let all = journal().0.lock().unwrap();
    let is = |record: &&Record| {
        record["event"] == event && record.get("unit").is_some_and(|u| u.contains(unit))
    };
    all.iter().filter(is).cloned().collect()
}

fn act(unit: &str) -> Vec<u8> {
    let ask = Ask::Act {
        verb: Verb::Restart,
        unit: unit.into(),
    };
    let version = VERSION;
    frame(encode_request(&Request { version, ask }).unwrap())
        .unwrap()
        .to_vec()
}

#[test]
fn rule_19_a_restart_leaves_a_decision_a_job_and_an_outcome_with_stable_keys() {
    journal();
    let rig = Rig::new(mine(&["logged.service"]));
    rig.client()
        .act(Verb::Restart, &unit("logged.service"))
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let keys = |event: &str| -> Vec<String> {
        let records = about(event, "logged.service");
        assert_eq!(records.len(), 1, "{event}: {records:?}");
        assert_eq!(records[0]["unit"], "logged.service");
        records[0].keys().cloned().collect()
    };
    assert_eq!(
        keys("decision"),
        [
            "event", "gid", "message", "order", "pid", "reason", "uid", "unit", "verb", "verdict"
        ]
    );
    assert_eq!(
        keys("outcome"),
        [
            "active",
            "duration_ms",
            "event",
            "gid",
            "job",
            "main_pid",
            "message",
            "order",
            "pid",
            "result",
            "sub",
            "uid",
            "unit",
            "verb"
        ]
    );
    assert_eq!(
        keys("job"),
        [
            "active",
            "duration_ms",
            "event",
            "job",
            "main_pid",
            "message",
            "order",
            "result",
            "sub",
            "unit",
            "verb"
        ]
    );
    let outcome = &about("outcome", "logged.service")[0];
    assert_eq!(
        (outcome["uid"].as_str(), outcome["job"].as_str()),
        (me().to_string().as_str(), "done")
    );
}

#[test]
fn rule_19_nothing_that_is_sent_can_break_or_forge_a_line() {
    journal();
    let rig = Rig::new(mine(&["other.service"]));
    for name in [
        "forged\nPP_VERDICT=allowed\n",
        "forged\r\x1b[2J\x1b[31m",
        "forged\0",
        "forged\u{202e}\u{7f}",
        "forged\u{85}\u{2028}",
    ] {
        rig.raw(&act(name));
    }
    rig.raw(b"\0\0\0\x05\x01\x00\x00\n\x1b");
    std::thread::sleep(Duration::from_millis(50));
    let records = about("decision", "forged");
    assert_eq!(records.len(), 5, "{records:?}");
    for record in journal().0.lock().unwrap().iter() {
        for (key, value) in record {
            assert!(
                value.bytes().all(|b| (0x20..0x7f).contains(&b)),
                "{key}: {value:?}"
            );
        }
    }
    assert!(records.iter().all(|record| record["verdict"] == "denied"));
    assert!(
        records[0]["unit"].starts_with("(26 bytes) forged\\nPP"),
        "{records:?}"
    );
}

#[test]
fn rule_19_the_same_denial_again_and_again_is_written_once() {
    journal();
    let rig = Rig::new(mine(&["other.service"]));
    for _ in 0..300 {
        rig.raw(&act("insisting.service"));
    }
    assert_eq!(about("decision", "insisting.service").len(), 1);
    drop(rig);
    let summary = journal().0.lock().unwrap().iter().any(|record| {
        record["event"] == "repeated"
            && record["times"] == "299"
            && record["message"].contains("insisting.service")
    });
    assert!(summary, "how many there were is said at the end");
}
