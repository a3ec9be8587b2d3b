//! What was seen, held against what was seen before.

use std::path::Path;

/// A duration.
const TOOK: &str = r"(\d+ ms|\d+\.\d s|\d+ min \d\d s)\b";

/// `text` is as the snapshot `name` has it, apart from what is never the same twice.
pub fn as_before(name: &str, text: &str, directory: &Path) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (what, instead) in [
        (&*escape(&directory.display().to_string()), "/HOME"),
        (r"\d{8}T\d{6}Z-[0-9a-f]+", "[RELEASE]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "[TIME]"),
        (r#""ms": ?\d+"#, "\"ms\":[MS]"),
        (
            r#""configuration": ?"[0-9a-f]{40}""#,
            "\"configuration\":[HASH]",
        ),
        (&format!(r"\({TOOK}"), "([TOOK]"),
        (&format!(r"(?m)^    {TOOK}:"), "    [TOOK]:"),
        (&format!(r" +{TOOK}"), " [TOOK]"),
        // The commit of a build script that has this run's directory in it.
        (
            r"deploying [0-9a-f]{12} (“[^”]*”: build, begun)",
            "deploying [REVISION] $1",
        ),
        // How wide a column is depends on how long something took.
        (r"\[TOOK\] ago +#", "[TOOK] ago  #"),
        (r"SINCE +LAST", "SINCE  LAST"),
        (r"- +none yet", "-  none yet"),
    ] {
        settings.add_filter(what, instead);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn escape(path: &str) -> String {
    path.replace('.', r"\.")
}
