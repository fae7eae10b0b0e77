use listener::Language;
use model::{Health, HealthWarning, LetGo, RenditionName, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::EventView;
use crate::pages::text::say;

/// How an event is, for who publishes it.
#[derive(Serialize, ToSchema)]
#[schema(title = "EventHealth")]
pub(crate) struct HealthView {
    /// `scheduled`, `live` or `ended`.
    state: &'static str,
    /// Whether pictures can be seen just now.
    on_air: bool,
    /// Whether somebody publishes.
    publishing: bool,
    viewers: usize,
    /// The feed; null when none comes in, or this server does not know.
    feed: Option<FeedView>,
    /// Why the last publisher was let go, until the next one is on air; null where it left by itself.
    let_go: Option<WarningView>,
}

/// How a feed is.
#[derive(Serialize, ToSchema)]
#[schema(title = "FeedHealth")]
pub(crate) struct FeedView {
    /// When this was found out, in milliseconds since 1970.
    #[schema(value_type = i64)]
    at: Timestamp,
    /// What the publisher's program calls itself.
    encoder: String,
    /// What came in lately, in kbit/s.
    bitrate_kbps: u32,
    /// The picture, if there is one.
    picture: Option<PictureView>,
    /// By how many milliseconds the sound is ahead of the picture; behind it where less than 0.
    skew_ms: i32,
    /// How much of the feed waits to be packaged, in milliseconds.
    queue_ms: u32,
    /// Packets that were dropped since the feed began, because too many waited.
    dropped: u64,
    /// What viewers can choose from just now.
    #[schema(value_type = Vec<String>)]
    renditions: Vec<RenditionName>,
    /// What is wrong, the worst first.
    warnings: Vec<WarningView>,
}

/// How the picture of a feed is.
#[derive(Serialize, ToSchema)]
#[schema(title = "PictureHealth")]
pub(crate) struct PictureView {
    codec: String,
    width: u32,
    height: u32,
    /// Frames that came in lately, per second.
    fps: f64,
    /// Seconds between the last two key frames.
    gop_s: f64,
}

/// Something about a feed that its publisher should know.
#[derive(Serialize, ToSchema)]
#[schema(title = "FeedWarning")]
pub(crate) struct WarningView {
    /// A word for programs.
    code: &'static str,
    /// What it means and what to do, in the reader's language.
    text: String,
}

impl HealthView {
    pub(crate) fn of(
        event: &EventView,
        feed: Option<Health>,
        let_go: Option<LetGo>,
        language: Language,
    ) -> Self {
        let let_go = let_go.map(|why| WarningView { code: why.as_str(), text: sentence(why, language) });
        Self {
            let_go,
            state: event.state,
            on_air: event.on_air,
            publishing: event.publishing.unwrap_or_default(),
            viewers: event.viewers,
            feed: feed.map(|health| feed_view(health, language)),
        }
    }
}

/// Why a publisher was let go, and what to do.
pub(crate) fn sentence(why: LetGo, language: Language) -> String {
    say(language, &format!("let_go_{why}")).to_owned()
}

fn feed_view(health: Health, language: Language) -> FeedView {
    let Health { at, encoder, bitrate_kbps, picture, skew_ms, queue_ms, dropped, renditions, warnings } =
        health;
    let picture = picture.map(|picture| PictureView {
        codec: picture.codec,
        width: picture.width,
        height: picture.height,
        fps: picture.fps,
        gop_s: picture.gop_s,
    });
    let warning = |warning: HealthWarning| WarningView {
        code: warning.as_str(),
        text: say(language, &format!("health_{warning}")).to_owned(),
    };
    let warnings = warnings.into_iter().map(warning).collect();
    FeedView { at, encoder, bitrate_kbps, picture, skew_ms, queue_ms, dropped, renditions, warnings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_is_explained_in_both_languages() {
        for warning in HealthWarning::ALL {
            for language in [Language::Es, Language::En] {
                let text = say(language, &format!("health_{warning}")).to_owned();
                assert!(text.ends_with('.'), "{warning}: {text}");
            }
        }
        for why in LetGo::ALL {
            for language in [Language::Es, Language::En] {
                assert!(sentence(why, language).ends_with('.'), "{why}");
            }
        }
    }
}
