//! Lists to choose from, in forms.

use listener::Language;
use model::{Tier, Visibility};

use super::text::{fill, say};

/// An option of a list.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) text: String,
    pub(crate) is_chosen: bool,
}

/// Who may find something.
pub(crate) fn visibilities(chosen: Visibility, language: Language) -> Vec<Choice> {
    let choice = |visibility: Visibility| Choice {
        value: visibility.to_string(),
        text: format!(
            "{} — {}",
            say(language, &format!("visibility_{visibility}")),
            say(language, &format!("visibility_{visibility}_hint")),
        ),
        is_chosen: visibility == chosen,
    };
    [Visibility::Draft, Visibility::Private, Visibility::Unlisted, Visibility::Public].map(choice).into()
}

/// The lowest tier that may watch something.
pub(crate) fn tiers(chosen: Tier, language: Language) -> Vec<Choice> {
    let choice = |tier: Tier| Choice {
        value: tier.to_string(),
        text: match tier {
            Tier::NONE => say(language, "tier_none").to_owned(),
            tier => fill(language, "tier_some", &[("tier", &tier)]),
        },
        is_chosen: tier == chosen,
    };
    Tier::ALL.map(choice).into()
}

/// Which part of an event a clip is of: the last seconds, or that between two moments.
pub(crate) fn clip_lengths(chosen: &str, language: Language) -> Vec<Choice> {
    let last = [30, 60, 120].map(|n| (n.to_string(), fill(language, "clip_last", &[("n", &n)])));
    let between = (String::new(), say(language, "clip_between").to_owned());
    let all = last.into_iter().chain([between]);
    all.map(|(value, text)| Choice { is_chosen: value == chosen, value, text }).collect()
}

/// How far back viewers of an event may go, in seconds.
pub(crate) fn rewinds(chosen: u32, language: Language) -> Vec<Choice> {
    let choice = |seconds: u32| Choice {
        value: seconds.to_string(),
        text: match seconds {
            0 => say(language, "event_dvr_none").to_owned(),
            seconds if seconds < 3600 => fill(language, "event_dvr_minutes", &[("n", &(seconds / 60))]),
            seconds => fill(language, "event_dvr_hours", &[("n", &(seconds / 3600))]),
        },
        is_chosen: seconds == chosen,
    };
    let mut offered = vec![0, 15 * 60, 3600, 4 * 3600, 12 * 3600, 24 * 3600];
    // What was set by a program stays, unless somebody changes it.
    if !offered.contains(&chosen) {
        offered.push(chosen);
        offered.sort_unstable();
    }
    offered.into_iter().map(choice).collect()
}
