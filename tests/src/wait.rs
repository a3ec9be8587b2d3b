//! Waiting for something with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value, and gives it back.
///
/// # Errors
/// After `within`: what was waited for, and the last error `look` gave, if any. An error does not
/// end the waiting, for what is waited for is often not yet there to look at.
pub fn wait_until<T>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let last = match look() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() >= within {
            match last {
                Some(error) => bail!("not within {within:?}: {what}: {error:#}"),
                None => bail!("not within {within:?}: {what}"),
            }
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_the_waiting() {
        let mut looks = 0;
        let got = wait_until("the third look", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(got.unwrap(), 3);
    }

    #[test]
    fn the_deadline_names_what_was_waited_for_and_the_last_error() {
        let error = wait_until::<()>("a miracle", Duration::from_millis(30), || {
            bail!("not today")
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "not within 30ms: a miracle: not today");
    }
}
