//! Windows: over midnight, the changes of the clocks and the ends of years, in every zone that the system has.

use super::*;

fn window(days: &[Weekday], start: &str, hours: u64, zone: &str) -> Window {
    Window {
        days: days.to_vec(),
        start: start.parse().unwrap(),
        length: Duration::from_secs(hours * 3600),
        zone: TimeZone::get(zone).unwrap(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn is_open(windows: &[Window], now: &str) -> bool {
    next(windows, at(now), Duration::ZERO).is_some_and(|opening| opening.from <= at(now))
}

#[test]
fn a_window_over_midnight_is_open_on_both_of_its_days() {
    let night = [window(&[Weekday::Friday], "22:00", 4, "UTC")];
    // 2026-11-27 is a Friday.
    for (now, open) in [
        ("2026-11-27T21:59:59Z", false),
        ("2026-11-27T22:00:00Z", true),
        ("2026-11-28T01:59:59Z", true),
        ("2026-11-28T02:00:00Z", false),
        ("2026-11-26T23:00:00Z", false),
    ] {
        assert_eq!(is_open(&night, now), open, "{now}");
    }
    let year = [window(&[], "23:00", 2, "Europe/Berlin")];
    assert!(is_open(&year, "2026-12-31T23:30:00Z"));
}

#[test]
fn the_clocks_change_and_the_window_keeps_its_length() {
    let two = [window(&[], "02:30", 2, "Europe/Berlin")];
    // 2026-03-29: the clocks go from 02:00 to 03:00, so that 02:30 is taken as 03:30.
    let spring = next(&two, at("2026-03-29T00:00:00Z"), Duration::ZERO).unwrap();
    assert_eq!(
        (spring.from, spring.until),
        (at("2026-03-29T01:30:00Z"), at("2026-03-29T03:30:00Z"))
    );
    // 2026-10-25: 02:30 comes twice, and the first counts.
    let autumn = next(&two, at("2026-10-25T00:00:00Z"), Duration::ZERO).unwrap();
    assert_eq!(
        (autumn.from, autumn.until),
        (at("2026-10-25T00:30:00Z"), at("2026-10-25T02:30:00Z"))
    );
    // The day that Samoa left out: 2011-12-30.
    let samoa = [window(&[Weekday::Friday], "10:00", 1, "Pacific/Apia")];
    assert!(next(&samoa, at("2011-12-30T00:00:00Z"), Duration::ZERO).is_some());
}

#[test]
fn any_open_window_allows_and_those_that_touch_are_one() {
    let both = [
        window(&[], "08:00", 2, "UTC"),
        window(&[], "10:00", 2, "UTC"),
        window(&[], "23:00", 1, "UTC"),
    ];
    let opening = next(
        &both,
        at("2026-11-27T08:30:00Z"),
        Duration::from_secs(3 * 3600),
    )
    .unwrap();
    assert_eq!(
        (opening.from, opening.until),
        (at("2026-11-27T08:00:00Z"), at("2026-11-27T12:00:00Z"))
    );
    // Without the time that is needed the next one counts; where none is long enough, none does.
    let late = next(&both, at("2026-11-27T11:30:00Z"), Duration::from_secs(3600)).unwrap();
    assert_eq!(late.from, at("2026-11-27T23:00:00Z"));
    assert_eq!(
        next(
            &both,
            at("2026-11-27T11:30:00Z"),
            Duration::from_secs(5 * 3600)
        ),
        None
    );
}

#[test]
fn a_week_that_is_open_throughout_is_never_closed() {
    let always = [window(&[], "00:00", 24, "America/St_Johns")];
    for hour in 0..24 * 400 {
        let now = at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(hour);
        // Where the clocks go back, a day has 25 hours and a window of 24.
        let opening = next(&always, now, Duration::ZERO).unwrap();
        assert!(
            opening.from.duration_since(now) <= SignedDuration::from_hours(1),
            "{now}"
        );
    }
}

/// In every zone of the system's tzdata, for 2020 to 2030: a window has its length to the second, begins at its wall
/// clock's time (or, where the clocks skip that, within three hours after it) on one of its days, and is found from
/// every moment of the week before it.
#[test]
fn in_every_zone_a_window_has_its_length_its_day_and_its_time() {
    let names: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    assert!(names.len() > 300, "tzdata has {} zones", names.len());
    let mut random = fastrand::Rng::with_seed(20_261_127);
    let mut skipped = 0;
    for name in names {
        let Ok(zone) = TimeZone::get(&name) else {
            continue;
        };
        for _ in 0..60 {
            let begin = at("2020-01-01T00:00:00Z").as_second();
            let end = at("2030-12-31T00:00:00Z").as_second();
            let mut now = Timestamp::from_second(random.i64(begin..end)).unwrap();
            // Half of them beside a change of the clocks, where there is one.
            if random.bool()
                && let Some(change) = zone.following(now).next()
            {
                now = change.timestamp() - SignedDuration::from_secs(random.i64(-90_000..90_000));
            }
            let day = [Weekday::Monday, Weekday::Saturday, Weekday::Sunday][random.usize(0..3)];
            let window = Window {
                days: vec![day],
                start: Time::new(random.i8(0..24), random.i8(0..60), 0, 0).unwrap(),
                length: Duration::from_secs(random.u64(1..=7 * 86400)),
                zone: zone.clone(),
            };
            let opening = next(std::slice::from_ref(&window), now, Duration::ZERO);
            let opening = opening.unwrap_or_else(|| panic!("{name} {now} {window:?}"));
            let length = opening.until.duration_since(opening.from);
            assert!(length.unsigned_abs() >= window.length, "{name} {now}");
            assert!(
                opening.until > now && opening.from.duration_since(now).as_secs() <= 8 * 86400,
                "{name} {now}"
            );
            let local = opening.from.to_zoned(zone.clone());
            if (local.time(), local.weekday()) != (window.start, day) {
                let wanted = local.date().to_datetime(window.start);
                let late = local.datetime().duration_since(wanted).as_secs();
                // A whole day may be left out (at the date line); all else is a skipped hour or less.
                assert!(
                    (0..=3 * 3600).contains(&late) || late < 0 && skipped < 50,
                    "{name} {now} {local} {window:?}"
                );
                skipped += 1;
            }
        }
    }
    assert!(skipped > 0, "no change of the clocks was met");
}
