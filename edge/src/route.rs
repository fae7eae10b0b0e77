//! The surface of the edge: every path that it answers, decoded once into typed ids.
//!
//! Nothing is percent-decoded and nothing is normalised: each resource has exactly one path, made
//! of characters that need no encoding, and every other text is absent. What was parsed here is
//! what is authorised and what is looked up; no byte of a request becomes part of an object's key.

use std::fmt;

use http::Method;
use model::{RenditionName, VersionId, VideoId};

use crate::live::LiveRoute;

/// A resource of the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Route {
    /// Of which video,
    pub(crate) video: VideoId,
    /// which version,
    pub(crate) version: VersionId,
    /// and which part of it.
    pub(crate) resource: Resource,
}

/// A part of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Resource {
    /// `multivariant.m3u8`: the renditions that the grant allows.
    Multivariant,
    /// `{rendition}/playlist.m3u8`: the segments of one.
    Playlist(RenditionName),
    /// `{rendition}/iframes.m3u8`: of a picture the first frames of these.
    IFrames(RenditionName),
    /// `{rendition}/init.mp4`, and `init-1.mp4` and so on: the initialisation segments of its formats.
    Init(RenditionName, u32),
    /// `{rendition}/{n}.m4s`: its segment `n`, from 0.
    Segment(RenditionName, u32),
    /// `{rendition}.mp4`: one plain MP4 of a picture and the sound that goes with it.
    Mp4(RenditionName),
    /// `poster.jpg`: a still at player size.
    Poster,
    /// `thumbnail.jpg`: a still at card size.
    Thumbnail,
    /// Something of the live event that the version grows from.
    Live(LiveRoute),
}

impl Resource {
    /// The route's name, for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Multivariant => "multivariant",
            Self::Playlist(_) => "playlist",
            Self::IFrames(_) => "iframes",
            Self::Init(..) => "init",
            Self::Segment(..) => "segment",
            Self::Mp4(_) => "mp4",
            Self::Poster => "poster",
            Self::Thumbnail => "thumbnail",
            Self::Live(live) => live.name(),
        }
    }
}

/// A decoded request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The token of the prefix `/t/{token}`, as it was sent.
    pub(crate) token: Option<&'a str>,
    /// What is asked for.
    pub(crate) route: Route,
}

/// Why a request has no [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// No such path: 404.
    NotFound,
    /// The path is right, the method is not: 405.
    Method,
}

/// The methods that every route has, for `Allow`.
pub(crate) const METHODS: &str = "GET, HEAD, OPTIONS";

impl Route {
    /// Decodes a request's method and path (without its query).
    ///
    /// # Errors
    ///
    /// The path of no resource, in its one spelling; or another method than [`METHODS`].
    pub(crate) fn decode<'a>(method: &Method, path: &'a str) -> Result<Target<'a>, Undecodable> {
        let target = target(path).ok_or(Undecodable::NotFound)?;
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => Ok(target),
            _ => Err(Undecodable::Method),
        }
    }

    /// The route's name, for logs and metrics.
    pub(crate) const fn name(&self) -> &'static str {
        self.resource.name()
    }

    /// The height that its bearer must be allowed; 0 where there is no picture to bound.
    pub(crate) const fn height(&self) -> u16 {
        match self.resource {
            Resource::Playlist(rendition)
            | Resource::IFrames(rendition)
            | Resource::Init(rendition, _)
            | Resource::Segment(rendition, _)
            | Resource::Mp4(rendition) => rendition.height(),
            Resource::Multivariant | Resource::Poster | Resource::Thumbnail => 0,
            Resource::Live(live) => live.height(),
        }
    }
}

/// The route's path, without a token.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = if let Resource::Live(_) = self.resource { LIVE } else { WHOLE };
        write!(f, "{root}{}/{}/", self.video, self.version)?;
        match self.resource {
            Resource::Multivariant => f.write_str("multivariant.m3u8"),
            Resource::Playlist(rendition) => write!(f, "{rendition}/playlist.m3u8"),
            Resource::IFrames(rendition) => write!(f, "{rendition}/iframes.m3u8"),
            Resource::Init(rendition, 0) => write!(f, "{rendition}/init.mp4"),
            Resource::Init(rendition, number) => write!(f, "{rendition}/init-{number}.mp4"),
            Resource::Segment(rendition, number) => write!(f, "{rendition}/{number}.m4s"),
            Resource::Mp4(rendition) => write!(f, "{rendition}.mp4"),
            Resource::Poster => f.write_str("poster.jpg"),
            Resource::Thumbnail => f.write_str("thumbnail.jpg"),
            Resource::Live(live) => live.fmt(f),
        }
    }
}

/// What stands before the ids of a version,
pub(crate) const WHOLE: &str = "/v/";
/// and of one whose live event is meant,
pub(crate) const LIVE: &str = "/live/";
/// and before that a token, if the path carries one.
pub(crate) const TOKEN: &str = "/t/";

fn target(path: &str) -> Option<Target<'_>> {
    match path.strip_prefix(TOKEN) {
        None => Some(Target { token: None, route: route(path)? }),
        Some(rest) => {
            let (token, _) = rest.split_once('/')?;
            Some(Target { token: Some(token), route: route(&rest[token.len()..])? })
        }
    }
}

fn route(path: &str) -> Option<Route> {
    let (of, rest): (fn(&str) -> Option<Resource>, _) = match path.strip_prefix(WHOLE) {
        Some(rest) => (resource, rest),
        None => (|name| LiveRoute::decode(name).map(Resource::Live), path.strip_prefix(LIVE)?),
    };
    let (video, rest) = rest.split_once('/')?;
    let (version, name) = rest.split_once('/')?;
    let (video, version) = (video.parse().ok()?, version.parse().ok()?);
    Some(Route { video, version, resource: of(name)? })
}

fn resource(name: &str) -> Option<Resource> {
    match name {
        "multivariant.m3u8" => return Some(Resource::Multivariant),
        "poster.jpg" => return Some(Resource::Poster),
        "thumbnail.jpg" => return Some(Resource::Thumbnail),
        _ => {}
    }
    let Some((rendition, file)) = name.split_once('/') else {
        let rendition: RenditionName = name.strip_suffix(".mp4")?.parse().ok()?;
        return rendition.is_video().then_some(Resource::Mp4(rendition));
    };
    let rendition: RenditionName = rendition.parse().ok()?;
    match file {
        "playlist.m3u8" => Some(Resource::Playlist(rendition)),
        "iframes.m3u8" => rendition.is_video().then_some(Resource::IFrames(rendition)),
        "init.mp4" => Some(Resource::Init(rendition, 0)),
        _ => match file.strip_prefix("init-") {
            Some(further) => {
                let number = number(further.strip_suffix(".mp4")?)?;
                (number > 0).then_some(Resource::Init(rendition, number))
            }
            None => Some(Resource::Segment(rendition, number(file.strip_suffix(".m4s")?)?)),
        },
    }
}

/// A number in its one spelling: no sign, no leading zero.
pub(crate) fn number(digits: &str) -> Option<u32> {
    let canonical = digits == "0" || !digits.starts_with('0');
    (canonical && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests;
