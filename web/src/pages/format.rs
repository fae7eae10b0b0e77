//! Figures as people read them.

use listener::Language;
use model::Timestamp;
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::text::fill;

/// A film's length as on a clock: `0:07`, `12:30`, `1:02:03`.
pub(crate) fn clock(ms: u64) -> String {
    let s = ms / 1000;
    let (hours, minutes, seconds) = (s / 3600, s / 60 % 60, s % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A film's length as schema.org reads it (ISO 8601 §5.5.2).
pub(crate) fn duration_iso(ms: u64) -> String {
    format!("PT{}.{:03}S", ms / 1000, ms % 1000)
}

/// One digit behind the point below a hundred, none above; a comma in Spanish.
pub(crate) fn decimal(value: f64, language: Language) -> String {
    // Halves go up, as in the scripts; `{:.1}` would take 1.25 down.
    let text =
        if value < 99.95 { format!("{:.1}", (value * 10.0).round() / 10.0) } else { format!("{value:.0}") };
    let text = text.strip_suffix(".0").map_or(text.clone(), str::to_owned);
    match language {
        Language::Es => text.replace('.', ","),
        Language::En => text,
    }
}

/// Time left in words, rounded so that it doesn't flicker; as in the scripts.
pub(crate) fn time_left(seconds: u32, language: Language) -> String {
    if seconds < 60 {
        return fill(language, "time_seconds", &[("n", &(seconds.div_ceil(5) * 5).max(5))]);
    }
    let minutes = seconds.div_ceil(60);
    if minutes < 60 {
        return fill(language, "time_minutes", &[("n", &minutes)]);
    }
    fill(language, "time_hours", &[("h", &(minutes / 60)), ("m", &(minutes % 60))])
}

/// The day of `at` in UTC as `2026-11-21`, which HTML and schema.org read.
pub(crate) fn day(at: Timestamp) -> String {
    let (year, month, day) = civil(at.as_seconds().div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day of `at` in words.
pub(crate) fn day_in_words(at: Timestamp, language: Language) -> String {
    const ES: [&str; 12] = [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ];
    const EN: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let (year, month, day) = civil(at.as_seconds().div_euclid(86_400));
    let name = |names: [&'static str; 12]| names[month as usize - 1];
    match language {
        Language::Es => format!("{day} de {} de {year}", name(ES)),
        Language::En => format!("{day} {} {year}", name(EN)),
    }
}

/// The time of day of `at` in UTC, as on a clock.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let minutes = at.as_seconds().rem_euclid(86_400) / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The minute of `at` in UTC as `2026-11-21T18:05Z`, which HTML reads.
pub(crate) fn minute_iso(at: Timestamp) -> String {
    format!("{}T{}Z", day(at), time_of_day(at))
}

/// The moment of `2026-11-21T18:05`, as forms send it, on a clock that is so many minutes behind UTC.
pub(crate) fn moment_of_form(text: &str, behind_minutes: i64) -> Option<Timestamp> {
    // Some browsers send seconds, too.
    let minute = text.get(..16)?;
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]");
    let moment = PrimitiveDateTime::parse(minute, form).ok()?.assume_utc();
    let is_zone = (-24 * 60..=24 * 60).contains(&behind_minutes);
    is_zone.then(|| Timestamp::from_seconds(moment.unix_timestamp() + behind_minutes * 60))
}

/// Year, month and day of a count of days since 1970, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is a year's last; an era is 400 years.
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_like_a_clock() {
        let cases = [(0, "0:00"), (7_900, "0:07"), (754_000, "12:34"), (3_723_000, "1:02:03")];
        for (ms, expected) in cases {
            assert_eq!(clock(ms), expected);
        }
    }

    #[test]
    fn figures_have_the_languages_point() {
        let cases = [
            (0.0, "0", "0"),
            (0.55, "0,6", "0.6"),
            (3.06, "3,1", "3.1"),
            (1.25, "1,3", "1.3"),
            (99.96, "100", "100"),
            (128.4, "128", "128"),
        ];
        for (value, es, en) in cases {
            assert_eq!(
                (decimal(value, Language::Es).as_str(), decimal(value, Language::En).as_str()),
                (es, en)
            );
        }
    }

    #[test]
    fn a_forms_minute_is_a_moment() {
        let at = |text, behind| moment_of_form(text, behind).map(Timestamp::as_seconds);
        assert_eq!(at("2026-11-21T00:00", 0), Some(1_795_219_200));
        assert_eq!(at("2026-11-21T18:05:30", 300), Some(1_795_219_200 + (18 * 60 + 5 + 300) * 60));
        assert_eq!(at("2026-11-21T18:05", -60), Some(1_795_219_200 + (17 * 60 + 5) * 60));
        for text in
            ["", "mañana", "2026-02-30T10:00", "2026-11-21T24:00", "2026-11-21 18:05", "+99999-01-01T1"]
        {
            assert_eq!(at(text, 0), None, "{text}");
        }
        assert_eq!(at("2026-11-21T18:05", i64::MAX), None);
        let minute = Timestamp::from_seconds(1_795_284_300);
        assert_eq!(
            (minute_iso(minute).as_str(), time_of_day(minute).as_str()),
            ("2026-11-21T18:05Z", "18:05")
        );
    }

    #[test]
    fn days_follow_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_795_219_200, "2026-11-21"),
            (4_107_542_399, "2100-02-28"),
            (-1, "1969-12-31"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(day(Timestamp::from_seconds(seconds)), expected);
        }
        let day = Timestamp::from_seconds(1_795_219_200);
        assert_eq!(day_in_words(day, Language::Es), "21 de noviembre de 2026");
        assert_eq!(day_in_words(day, Language::En), "21 November 2026");
    }
}
