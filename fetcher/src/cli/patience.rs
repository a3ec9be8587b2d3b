//! How long a command waits while another pass over the same app is at work.

use std::io::IsTerminal;
use std::thread;
use std::time::{Duration, Instant};

use super::output::print_error;
use crate::state::StateDir;
use crate::stop::stop_requested;

/// The time between two looks at the lock.
const BEAT: Duration = Duration::from_millis(50);

/// A wait of less than this deserves no line of output: a pass that finds nothing new has ended by then.
const UNTOLD: Duration = Duration::from_secs(1);

/// The longest time that a command of a script waits for a pass that only polls.
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// The end of the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// There is no wait: the app is left to the other pass.
    Now,
    /// Until a pass that only polls has ended, [`LONGEST_POLL`] at most. One that deploys is not waited for.
    PollEnds,
    /// Until the other pass has ended.
    PassEnds,
}

/// A wait for the end of another pass.
#[derive(Debug)]
pub(super) struct Patience {
    until: Until,
    since: Option<Instant>,
    told: bool,
}

impl Patience {
    /// Makes the wait, which has not begun.
    pub(super) fn new(until: Until) -> Self {
        Self {
            until,
            since: None,
            told: false,
        }
    }

    /// Waits a moment if there is still something to wait for, and gives whether there was; not after SIGINT or SIGTERM.
    /// `deploys`: the other pass does not only poll. `begin` is called before a moment of waiting; its argument is true
    /// once, when the user is to know of the wait.
    pub(super) fn wait(&mut self, deploys: bool, begin: impl FnOnce(bool)) -> bool {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        let goes_on = match self.until {
            Until::Now => false,
            Until::PollEnds => !deploys && waited < LONGEST_POLL,
            Until::PassEnds => true,
        };
        if !goes_on || stop_requested() {
            return false;
        }
        let tell = (deploys || waited >= UNTOLD) && !self.told;
        self.told |= tell;
        begin(tell);
        thread::sleep(BEAT);
        true
    }
}

/// Gives what a person's command about `app` does while a pass is at work: at a terminal it waits for the end, in a script
/// for a poll alone.
pub(super) fn of_a_person(app: &str) -> impl FnMut(&StateDir) -> bool {
    waiting(
        app,
        match std::io::stdout().is_terminal() {
            true => Until::PassEnds,
            false => Until::PollEnds,
        },
    )
}

/// Gives the wait `until` then, with a line for the user on standard error.
pub(super) fn waiting(app: &str, until: Until) -> impl FnMut(&StateDir) -> bool {
    let mut patience = Patience::new(until);
    move |dir| {
        patience.wait(dir.under_way().read().is_some(), |tell| {
            if tell {
                print_error(&format!(
                    "a pass over {app} is at work: waiting for its end"
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a wait `until` then goes on, of three times.
    fn goes_on(until: Until, deploys: bool) -> usize {
        let mut patience = Patience::new(until);
        (0..3).filter(|_| patience.wait(deploys, |_| {})).count()
    }

    #[test]
    fn a_script_waits_for_a_poll_and_for_no_deploy() {
        assert_eq!(goes_on(Until::Now, false), 0);
        assert_eq!(goes_on(Until::PollEnds, false), 3);
        assert_eq!(goes_on(Until::PollEnds, true), 0);
        assert_eq!(goes_on(Until::PassEnds, true), 3);
    }

    #[test]
    fn a_poll_that_hangs_is_not_waited_for_without_end() {
        let mut patience = Patience::new(Until::PollEnds);
        patience.since = Instant::now().checked_sub(LONGEST_POLL);
        assert!(patience.since.is_some() && !patience.wait(false, |_| {}));
    }

    #[test]
    fn the_user_is_told_once_and_of_a_short_poll_never() {
        let mut told = 0;
        let mut patience = Patience::new(Until::PassEnds);
        patience.wait(false, |tell| told += usize::from(tell));
        assert_eq!(told, 0);
        let mut patience = Patience::new(Until::PassEnds);
        for _ in 0..2 {
            patience.wait(true, |tell| told += usize::from(tell));
        }
        assert_eq!(told, 1);
    }
}
