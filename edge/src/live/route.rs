//! What of a live event can be asked for.

use std::fmt;

use live::{Piece, View};
use model::RenditionName;

use crate::route::number;

/// A resource of a live event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LiveRoute {
    /// `[{view}/]multivariant.m3u8`: the renditions that the grant allows.
    Multivariant(View),
    /// `[{view}/]{rendition}/playlist.m3u8`: the segments of one.
    Playlist(View, RenditionName),
    /// `{rendition}/init-{n}.mp4`: one of its initialisation segments.
    Init(RenditionName, u32),
    /// `{rendition}/{msn}.m4s`: a closed segment.
    Segment(RenditionName, u32),
    /// `{rendition}/{msn}.{part}.m4s`: a part of a segment, from 0.
    Part(RenditionName, u32, u32),
    /// `saver/{rendition}/{first}-{last}.m4s`: closed segments, as the saver lists them.
    Joined(RenditionName, u32, u32),
}

impl LiveRoute {
    /// The names of the routes, in the order of [`LiveRoute::number`].
    pub(crate) const NAMES: [&str; 6] =
        ["live_multivariant", "live_playlist", "live_init", "live_segment", "live_part", "live_joined"];

    /// Its place in [`LiveRoute::NAMES`].
    pub(crate) const fn number(self) -> usize {
        match self {
            Self::Multivariant(_) => 0,
            Self::Playlist(..) => 1,
            Self::Init(..) => 2,
            Self::Segment(..) => 3,
            Self::Part(..) => 4,
            Self::Joined(..) => 5,
        }
    }

    /// The name of a piece, as it is also used between origin and edge.
    pub(crate) const fn of(name: RenditionName, piece: Piece) -> Self {
        match piece {
            Piece::Init(n) => Self::Init(name, n),
            Piece::Segment(msn) => Self::Segment(name, msn),
            Piece::Part(msn, part) => Self::Part(name, msn, part),
        }
    }

    /// The piece that it is, if it is one.
    pub(crate) const fn piece(self) -> Option<(RenditionName, Piece)> {
        match self {
            Self::Init(name, n) => Some((name, Piece::Init(n))),
            Self::Segment(name, msn) => Some((name, Piece::Segment(msn))),
            Self::Part(name, msn, part) => Some((name, Piece::Part(msn, part))),
            Self::Multivariant(_) | Self::Playlist(..) | Self::Joined(..) => None,
        }
    }

    /// The route's name, for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        Self::NAMES[self.number()]
    }

    /// The height that its bearer must be allowed; 0 where there is no picture to bound.
    pub(crate) const fn height(self) -> u16 {
        match self {
            Self::Multivariant(_) => 0,
            Self::Playlist(_, name)
            | Self::Init(name, _)
            | Self::Segment(name, _)
            | Self::Part(name, ..)
            | Self::Joined(name, ..) => name.height(),
        }
    }

    /// Reads what stands behind the ids of the version.
    pub(crate) fn decode(name: &str) -> Option<Self> {
        let (view, name) = match name.split_once('/') {
            Some((word, rest)) if word == View::Normal.as_str() => (View::Normal, rest),
            Some((word, rest)) if word == View::Saver.as_str() => (View::Saver, rest),
            _ => (View::Low, name),
        };
        let Some((rendition, file)) = name.split_once('/') else {
            return (name == "multivariant.m3u8").then_some(Self::Multivariant(view));
        };
        let rendition = rendition.parse().ok()?;
        match (view, file) {
            (_, "playlist.m3u8") => Some(Self::Playlist(view, rendition)),
            (View::Low, _) => piece(rendition, file),
            (View::Saver, _) => joined(rendition, file),
            (View::Normal, _) => None,
        }
    }
}

fn piece(rendition: RenditionName, file: &str) -> Option<LiveRoute> {
    if let Some(name) = file.strip_prefix("init-") {
        return Some(LiveRoute::Init(rendition, number(name.strip_suffix(".mp4")?)?));
    }
    let name = file.strip_suffix(".m4s")?;
    match name.split_once('.') {
        None => Some(LiveRoute::Segment(rendition, number(name)?)),
        Some((msn, part)) => Some(LiveRoute::Part(rendition, number(msn)?, number(part)?)),
    }
}

fn joined(rendition: RenditionName, file: &str) -> Option<LiveRoute> {
    let (first, last) = file.strip_suffix(".m4s")?.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let is_few = last.checked_sub(first)? < View::MOST_GROUPED;
    is_few.then_some(LiveRoute::Joined(rendition, first, last))
}

/// What stands behind the ids of the version.
impl fmt::Display for LiveRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Multivariant(view) | Self::Playlist(view, _) = self
            && *view != View::Low
        {
            write!(f, "{view}/")?;
        }
        match self {
            Self::Multivariant(_) => f.write_str("multivariant.m3u8"),
            Self::Playlist(_, name) => write!(f, "{name}/playlist.m3u8"),
            Self::Init(name, n) => write!(f, "{name}/init-{n}.mp4"),
            Self::Segment(name, msn) => write!(f, "{name}/{msn}.m4s"),
            Self::Part(name, msn, part) => write!(f, "{name}/{msn}.{part}.m4s"),
            Self::Joined(name, first, last) => write!(f, "{}/{name}/{first}-{last}.m4s", View::Saver),
        }
    }
}
