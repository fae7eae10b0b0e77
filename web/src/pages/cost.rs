//! Which qualities a page offers, and which of them it names the cost of.

use model::RenditionName;
use serde::Serialize;

use crate::views::RenditionView;

/// A picture, with what a minute of it costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Quality {
    /// The rendition's name, for example `360p`.
    pub(crate) name: RenditionName,
    /// Its short side in pixels.
    pub(crate) height: u16,
    /// Measured, sound included.
    pub(crate) mb_per_minute: f64,
    /// Whether all of it is there.
    pub(crate) whole: bool,
    /// Whether it has one format, and its sound too.
    #[serde(skip)]
    pub(crate) is_uniform: bool,
}

/// The sound that "audio only" plays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sound {
    /// The rendition's name, for example `a64`.
    pub(crate) name: RenditionName,
    /// Measured.
    pub(crate) mb_per_minute: f64,
}

/// Sound alone need not be better than this, in kbit/s, where there is a choice.
const SOUND_ALONE_KBPS: u16 = 64;
/// The saver never goes above this many lines.
pub(crate) const SAVER_HEIGHT: u16 = 240;
/// What lists name the cost of when nothing is to be saved: what a phone shows.
pub(crate) const USUAL_HEIGHT: u16 = 480;
/// What a page without scripts plays has at most so many lines.
const PLAIN_HEIGHT: u16 = 360;

/// The pictures among `renditions` up to `height`, the best first.
pub(crate) fn qualities(renditions: &[RenditionView], height: u16) -> Vec<Quality> {
    let pictures = renditions.iter().filter(|view| view.name.is_video() && view.name.height() <= height);
    let quality = |view: &RenditionView| Quality {
        name: view.name,
        height: view.name.height(),
        mb_per_minute: view.mb_per_minute,
        whole: view.whole,
        is_uniform: view.is_uniform,
    };
    let mut qualities: Vec<Quality> = pictures.map(quality).collect();
    qualities.sort_by_key(|quality| std::cmp::Reverse(quality.height));
    qualities
}

/// The sound that "audio only" plays, if there is any.
pub(crate) fn sound(renditions: &[RenditionView]) -> Option<Sound> {
    let mut sounds: Vec<_> = renditions.iter().filter(|view| !view.name.is_video()).collect();
    sounds.sort_by_key(|view| view.name);
    let is_modest = |name| matches!(name, RenditionName::Audio { kbps } if kbps <= SOUND_ALONE_KBPS);
    let chosen = sounds.iter().rfind(|view| is_modest(view.name)).or(sounds.first())?;
    Some(Sound { name: chosen.name, mb_per_minute: chosen.mb_per_minute })
}

/// The best of `qualities`, which come best first, of at most `height`; the smallest when all
/// are greater.
pub(crate) fn at_most(qualities: &[Quality], height: u16) -> Option<&Quality> {
    qualities.iter().find(|quality| quality.height <= height).or(qualities.last())
}

/// What a page without scripts plays of `qualities`, which come best first: in a file whose format changes
/// browsers stop at the change, so one of a single format, where a small one has that.
pub(crate) fn plain(qualities: &[Quality]) -> Option<&Quality> {
    let fits = |quality: &&Quality| quality.height <= PLAIN_HEIGHT && quality.is_uniform;
    qualities.iter().find(fits).or_else(|| at_most(qualities, PLAIN_HEIGHT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renditions(names: &[&str]) -> Vec<RenditionView> {
        let view = |name: &&str| RenditionView {
            name: name.parse().unwrap(),
            kind: "",
            width: None,
            height: None,
            bandwidth_bps: 0,
            average_bandwidth_bps: 0,
            mb_per_minute: 1.0,
            whole: true,
            is_uniform: true,
        };
        names.iter().map(view).collect()
    }

    fn names(qualities: &[Quality]) -> Vec<String> {
        qualities.iter().map(|quality| quality.name.to_string()).collect()
    }

    #[test]
    fn what_a_plan_does_not_reach_is_not_offered() {
        let all = renditions(&["a32", "144p", "1080p", "480p"]);
        assert_eq!(names(&qualities(&all, 480)), ["480p", "144p"]);
        assert_eq!(names(&qualities(&all, 4320)), ["1080p", "480p", "144p"]);
    }

    #[test]
    fn sound_alone_is_the_best_of_the_modest_ones() {
        let name = |names: &[&str]| sound(&renditions(names)).map(|sound| sound.name.to_string());
        assert_eq!(name(&["144p", "a32", "a64", "a128"]).as_deref(), Some("a64"));
        assert_eq!(name(&["a128", "a96"]).as_deref(), Some("a96"));
        assert_eq!(name(&["144p"]), None);
    }

    #[test]
    fn a_plain_file_has_one_format_where_there_is_a_small_one() {
        let plain_of = |names: &[&str], changing: &[&str]| {
            let mut all = qualities(&renditions(names), 4320);
            for quality in &mut all {
                quality.is_uniform = !changing.contains(&quality.name.to_string().as_str());
            }
            plain(&all).map(|quality| quality.name.to_string())
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(plain_of(&["144p", "360p", "720p"], &[]), name("360p"));
        assert_eq!(plain_of(&["144p", "360p", "720p"], &["720p"]), name("360p"));
        assert_eq!(plain_of(&["144p", "360p"], &["360p"]), name("144p"));
        assert_eq!(plain_of(&["360p"], &["360p"]), name("360p"), "there is no other");
        assert_eq!(plain_of(&["480p", "720p"], &["480p"]), name("480p"), "above 360p it is a download");
        assert_eq!(plain_of(&[], &[]), None);
    }

    #[test]
    fn the_fitting_quality_is_the_best_below_or_the_smallest_there_is() {
        let all = qualities(&renditions(&["144p", "360p", "720p"]), 4320);
        let name = |height| at_most(&all, height).map(|quality| quality.height);
        assert_eq!((name(360), name(480), name(100)), (Some(360), Some(360), Some(144)));
        assert_eq!(at_most(&[], 360), None);
    }
}
