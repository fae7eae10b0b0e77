use std::fmt;
use std::str::FromStr;

use crate::{ChunkHash, RenditionName, VersionId, VideoId};

/// Every kind of object in the bucket, each immutable once written.
///
/// The text of a key is made here and read here; no byte of a request ever becomes part of
/// one. All objects of a video share the prefix [`ObjectKey::video_prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKey {
    /// The file that was uploaded, byte for byte.
    Original {
        /// Whose.
        video: VideoId,
    },
    /// A rendition's initialisation segment (`ftyp` + `moov`).
    Init {
        /// Of this video,
        video: VideoId,
        /// this version of it,
        version: VersionId,
        /// and this track,
        rendition: RenditionName,
        /// which of the formats that it has one behind the other, from 0.
        number: u32,
    },
    /// Up to 60 s of a rendition: its segments back to back, then an index of every sample.
    Chunk {
        /// Of this video,
        video: VideoId,
        /// this version of it,
        version: VersionId,
        /// and this track,
        rendition: RenditionName,
        /// the number of its first segment, from 0,
        number: u32,
        /// and the hash of its bytes.
        hash: ChunkHash,
    },
    /// What a version consists of: renditions, chunks, segments. Its PUT is the last one.
    Index {
        /// Of this video,
        video: VideoId,
        /// this version.
        version: VersionId,
    },
    /// A still picture at player size; gated like the film.
    Poster {
        /// Of this video,
        video: VideoId,
        /// this version.
        version: VersionId,
    },
    /// A still picture at card size, for lists.
    Thumbnail {
        /// Of this video,
        video: VideoId,
        /// this version.
        version: VersionId,
    },
}

/// A text that is not a key of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an object key")]
pub struct InvalidKey {
    text: String,
}

impl ObjectKey {
    /// The prefix of all objects, for listings.
    pub const ROOT: &'static str = "videos/";

    /// The prefix that all objects of `video`, and no others, have.
    pub fn video_prefix(video: VideoId) -> String {
        format!("{}{video}/", Self::ROOT)
    }

    /// The prefix that all objects of `version` of `video`, and no others, have.
    pub fn version_prefix(video: VideoId, version: VersionId) -> String {
        format!("{}{version}/", Self::video_prefix(video))
    }

    /// The video that the object belongs to.
    pub const fn video(&self) -> VideoId {
        match *self {
            Self::Original { video }
            | Self::Init { video, .. }
            | Self::Chunk { video, .. }
            | Self::Index { video, .. }
            | Self::Poster { video, .. }
            | Self::Thumbnail { video, .. } => video,
        }
    }

    /// The media type to serve the object with.
    pub const fn content_type(&self) -> &'static str {
        match self {
            // Never a type that a browser would run or sniff: it is whatever a stranger sent.
            Self::Original { .. } | Self::Chunk { .. } => "application/octet-stream",
            Self::Init { rendition, .. } if rendition.is_video() => "video/mp4",
            Self::Init { .. } => "audio/mp4",
            Self::Index { .. } => "application/json",
            Self::Poster { .. } | Self::Thumbnail { .. } => "image/jpeg",
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/", Self::ROOT, self.video())?;
        match self {
            Self::Original { .. } => f.write_str("original"),
            Self::Init { version, rendition, number: 0, .. } => write!(f, "{version}/{rendition}/init.mp4"),
            Self::Init { version, rendition, number, .. } => {
                write!(f, "{version}/{rendition}/init-{number}.mp4")
            }
            Self::Chunk { version, rendition, number, hash, .. } => {
                write!(f, "{version}/{rendition}/{number:05}-{hash}.cmaf")
            }
            Self::Index { version, .. } => write!(f, "{version}/index.json"),
            Self::Poster { version, .. } => write!(f, "{version}/poster.jpg"),
            Self::Thumbnail { version, .. } => write!(f, "{version}/thumbnail.jpg"),
        }
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        // Reading is lenient about form and strict about identity: whatever was understood
        // must print as exactly the same text.
        read(text).filter(|key| key.to_string() == text).ok_or_else(|| InvalidKey { text: text.to_owned() })
    }
}

fn read(text: &str) -> Option<ObjectKey> {
    let mut parts = text.strip_prefix(ObjectKey::ROOT)?.split('/');
    let video = parts.next()?.parse().ok()?;
    let rest: Vec<&str> = parts.collect();
    match rest[..] {
        ["original"] => Some(ObjectKey::Original { video }),
        [version, "index.json"] => Some(ObjectKey::Index { video, version: version.parse().ok()? }),
        [version, "poster.jpg"] => Some(ObjectKey::Poster { video, version: version.parse().ok()? }),
        [version, "thumbnail.jpg"] => Some(ObjectKey::Thumbnail { video, version: version.parse().ok()? }),
        [version, rendition, file] => {
            let version = version.parse().ok()?;
            let rendition = rendition.parse().ok()?;
            if file == "init.mp4" {
                return Some(ObjectKey::Init { video, version, rendition, number: 0 });
            }
            if let Some(number) = file.strip_prefix("init-") {
                let number = number.strip_suffix(".mp4")?.parse().ok()?;
                return Some(ObjectKey::Init { video, version, rendition, number });
            }
            let (number, hash) = file.strip_suffix(".cmaf")?.split_once('-')?;
            let (number, hash) = (number.parse().ok()?, hash.parse().ok()?);
            Some(ObjectKey::Chunk { video, version, rendition, number, hash })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = ObjectKey> {
        let rendition = prop_oneof![
            (1u16..).prop_map(|kbps| RenditionName::Audio { kbps }),
            (1u16..).prop_map(|height| RenditionName::Video { height }),
        ];
        let number = prop_oneof![0u32..3, any::<u32>()];
        (0usize..6, any::<u128>(), any::<u128>(), rendition, number, any::<Vec<u8>>()).prop_map(
            |(kind, video, version, rendition, number, bytes)| {
                let (video, version) = (VideoId::from_bits(video), VersionId::from_bits(version));
                let hash = ChunkHash::of(&bytes);
                [
                    ObjectKey::Original { video },
                    ObjectKey::Init { video, version, rendition, number },
                    ObjectKey::Chunk { video, version, rendition, number, hash },
                    ObjectKey::Index { video, version },
                    ObjectKey::Poster { video, version },
                    ObjectKey::Thumbnail { video, version },
                ][kind]
            },
        )
    }

    proptest! {
        #[test]
        fn a_key_reads_back_as_itself(key in keys()) {
            prop_assert_eq!(key.to_string().parse::<ObjectKey>(), Ok(key));
        }

        #[test]
        fn a_key_lies_under_its_video_and_climbs_nowhere(key in keys()) {
            let text = key.to_string();
            prop_assert!(text.starts_with(&ObjectKey::video_prefix(key.video())));
            prop_assert!(!text.contains("..") && !text.contains("//"));
        }

        #[test]
        fn a_changed_key_is_another_key_or_none(key in keys(), at in 0usize..64, byte in 0x20u8..0x7f) {
            let mut text = key.to_string().into_bytes();
            let at = at % text.len();
            text[at] = byte;
            let text = String::from_utf8(text).unwrap();
            if let Ok(read) = text.parse::<ObjectKey>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }

    #[test]
    fn an_init_has_one_name() {
        let (video, version) = (VideoId::from_bits(1), VersionId::from_bits(2));
        let init = |number| {
            let rendition = RenditionName::Video { height: 360 };
            ObjectKey::Init { video, version, rendition, number }
        };
        let first = init(0).to_string();
        assert!(first.ends_with("/360p/init.mp4"), "{first}");
        let read = |file: &str| first.replace("init.mp4", file).parse::<ObjectKey>().ok();
        assert_eq!((read("init.mp4"), read("init-2.mp4")), (Some(init(0)), Some(init(2))));
        for other in
            ["init-0.mp4", "init-01.mp4", "init-+1.mp4", "init-.mp4", "init-4294967296.mp4", "init-1"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
