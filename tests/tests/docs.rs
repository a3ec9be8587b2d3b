//! The pages of `docs/` are true: each of their blocks runs on a host, in order, as a reader would type it.
//!
//! A block of `sh` is run by root in /root, and has to succeed. A comment in the line above says otherwise:
//! `as: USER` who runs it, `exit: CODE` how it ends, `file: PATH` that the block is the content of a file, `output` that
//! its lines are among what the block before has printed (`…` stands for anything), `not run: WHY` that nobody runs it.
//! `at a terminal`, alone or before one of the first two, that its output is a terminal, though a dumb one.
//! Alone stand `host: STATE`, on which host the page begins, and `forge: …`, what somebody does at the forge.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use pp_tests::doc_blocks::{Block, Use, blocks, is_printed};
use pp_tests::doc_host::DocHost;
use pp_tests::harness::{self, Needs};
use pp_tests::lab::Output;

/// The longest time for one block: a deploy with its probe, by a service that polls each minute.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let pages = pages();
    let missing = harness::is_missing(Needs::Packages);
    let trials = pages
        .into_iter()
        .map(|page| {
            let name = page
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            Trial::test(format!("the_blocks_of_{name}_run"), move || {
                follow(&page).map_err(|error| Failed::from(format!("{error:#}")))
            })
            .with_ignored_flag(missing)
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The pages, in the order of their names.
fn pages() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let entries = std::fs::read_dir(docs).into_iter().flatten().flatten();
    let mut pages: Vec<_> = entries.map(|entry| entry.path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "md"));
    pages.sort();
    pages
}

/// Follows a page from its beginning to its end.
fn follow(page: &Path) -> Result<()> {
    let text = std::fs::read_to_string(page)?;
    let blocks = blocks(&text)?;
    let mut host: Option<Arc<DocHost>> = None;
    let mut before: Option<Output> = None;
    let (mut run, mut skipped) = (0, 0);
    for block in &blocks {
        let at = format!("{}:{}", page.display(), block.line);
        match &block.used {
            Use::Host(state) => {
                host = Some(Arc::new(DocHost::start(state).with_context(|| at.clone())?));
            }
            Use::NotRun(why) => {
                skipped += 1;
                println!("{at}: not run: {why}");
            }
            used => {
                let host = host.clone().with_context(|| format!("{at}: which host?"))?;
                let output =
                    act(&host, block, used, before.as_ref()).with_context(|| at.clone())?;
                run += 1;
                before = output.or(before);
            }
        }
    }
    println!(
        "{}: {run} blocks and steps followed, {skipped} not run",
        page.display()
    );
    ensure!(run > 0 || skipped == blocks.len(), "nothing was run");
    Ok(())
}

fn act(
    host: &DocHost,
    block: &Block,
    used: &Use,
    before: Option<&Output>,
) -> Result<Option<Output>> {
    let text = host.as_here(&block.text)?;
    match used {
        Use::Run {
            user,
            exit,
            terminal,
        } => {
            let account = host.lab().as_user(user);
            let script = format!("cd /root 2>/dev/null || cd /\n{text}");
            let call = match terminal {
                // The quotes of the shell that script(1) starts are around the whole text.
                true => account.cmd([
                    "env",
                    "TERM=dumb",
                    "script",
                    "--quiet",
                    "--return",
                    "--command",
                    &format!("bash -euc '{}'", script.replace('\'', "'\\''")),
                    "/dev/null",
                ]),
                false => account.cmd(["bash", "-euc", &script]),
            };
            let output = call.within(PATIENCE).output()?;
            ensure!(
                output.code == Some(*exit),
                "it was to end with {exit}: {output}"
            );
            Ok(Some(output))
        }
        Use::File(path) => {
            host.lab()
                .write(path, text.as_bytes(), 0o644, "root:root")?;
            Ok(None)
        }
        Use::Output => {
            let before = before.context("no block before has printed anything")?;
            let printed = format!("{}\n{}", before.stdout, before.stderr);
            ensure!(
                is_printed(&text, &printed),
                "the page shows\n{text}\nand it printed\n{printed}"
            );
            Ok(None)
        }
        Use::Forge(what) => host.at_the_forge(what).map(|()| None),
        Use::NotRun(_) | Use::Host(_) => bail!("nothing is done for this"),
    }
}
