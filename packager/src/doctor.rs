//! Compares rows, indexes and objects, and lists where they drift apart.

use std::collections::BTreeMap;
use std::fmt;

use catalog::{Catalog, KnownVideo};
use futures::StreamExt;
use model::{ObjectKey, VersionId, VideoId};
use storage::{ObjectStore, StorageError};

use crate::PackagerError;
use crate::named::{self, Found};

/// One place where rows, indexes and objects do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A row or an index names an object that is not there.
    Missing {
        /// The object.
        key: ObjectKey,
    },
    /// An object has another length than its row or index says.
    WrongSize {
        /// The object.
        key: ObjectKey,
        /// What the row or index says, in bytes.
        expected: u64,
        /// What is there, in bytes.
        found: u64,
    },
    /// A version's index cannot be read, so nobody knows what it consists of.
    UnreadableIndex {
        /// Of which video.
        video: VideoId,
        /// Which version.
        version: VersionId,
        /// Why.
        why: String,
    },
    /// Nothing names this object; the sweeper removes it once it is a day old.
    Unnamed {
        /// The object.
        key: ObjectKey,
        /// Its length in bytes.
        size_bytes: u64,
    },
    /// Something among our objects that is not ours; nobody touches it.
    Foreign {
        /// Its name.
        name: String,
        /// Its length in bytes.
        size_bytes: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key } => write!(f, "missing `{key}`"),
            Self::WrongSize { key, expected, found } => {
                write!(f, "wrong size of `{key}`: {found} bytes, not {expected}")
            }
            Self::UnreadableIndex { video, version, why } => {
                write!(f, "unreadable index of version `{version}` of video `{video}`: {why}")
            }
            Self::Unnamed { key, size_bytes } => {
                write!(f, "named by nothing: `{key}`, {size_bytes} bytes; swept after a day")
            }
            Self::Foreign { name, size_bytes } => write!(f, "not ours: {name:?}, {size_bytes} bytes"),
        }
    }
}

/// Examines every video and every object; an empty list is health.
///
/// What is uploaded, packaged or deleted meanwhile may be reported although it is in order.
///
/// # Errors
///
/// When the store or the catalog cannot be read.
pub async fn examine(catalog: &Catalog, store: &dyn ObjectStore) -> Result<Vec<Finding>, PackagerError> {
    let mut findings = Vec::new();
    let mut after = None;
    loop {
        let videos = catalog.known_videos(after).await?;
        let Some(last) = videos.last() else { break };
        after = Some(last.id);
        for video in &videos {
            examine_video(video, store, &mut findings).await?;
        }
    }
    examine_strays(catalog, store, &mut findings).await?;
    Ok(findings)
}

/// Compares one video's rows with its objects.
async fn examine_video(
    video: &KnownVideo,
    store: &dyn ObjectStore,
    findings: &mut Vec<Finding>,
) -> Result<(), StorageError> {
    let mut objects = objects_of(video.id, store).await?;
    let original = ObjectKey::Original { video: video.id };
    if video.has_original() {
        compare(original, Some(video.size_bytes), &mut objects, findings);
    } else if !video.deleted {
        // The upload may have stored it and not yet said so.
        objects.remove(&original);
    }
    for version in video.versions.iter().filter(|_| !video.deleted) {
        match named::by_index(store, video.id, *version).await? {
            Found::Names(names) => {
                for (key, size_bytes) in names {
                    compare(key, size_bytes, &mut objects, findings);
                }
            }
            Found::Missing => {
                findings
                    .push(Finding::Missing { key: ObjectKey::Index { video: video.id, version: *version } });
                objects.retain(|key, _| named::version_of(key) != Some(*version));
            }
            Found::Unreadable(why) => {
                findings.push(Finding::UnreadableIndex { video: video.id, version: *version, why });
                objects.retain(|key, _| named::version_of(key) != Some(*version));
            }
        }
    }
    if let Some(growing) = &video.growing {
        for (key, size_bytes) in named::by_rows(growing) {
            compare(key, size_bytes, &mut objects, findings);
        }
        // Bytes come before the row that names them.
        objects.retain(|key, _| named::version_of(key) != Some(growing.version));
    }
    let is_trim =
        |key: &ObjectKey| named::version_of(key).is_some_and(|version| video.trims.contains(&version));
    objects.retain(|key, _| !is_trim(key) || video.deleted);
    findings.extend(objects.into_iter().map(|(key, size_bytes)| Finding::Unnamed { key, size_bytes }));
    Ok(())
}

/// Takes `key` out of the objects and notes what is wrong with it.
fn compare(
    key: ObjectKey,
    expected: Option<u64>,
    objects: &mut BTreeMap<ObjectKey, u64>,
    findings: &mut Vec<Finding>,
) {
    match (objects.remove(&key), expected) {
        (None, _) => findings.push(Finding::Missing { key }),
        (Some(found), Some(expected)) if found != expected => {
            findings.push(Finding::WrongSize { key, expected, found });
        }
        _ => {}
    }
}

async fn objects_of(
    video: VideoId,
    store: &dyn ObjectStore,
) -> Result<BTreeMap<ObjectKey, u64>, StorageError> {
    let mut objects = BTreeMap::new();
    let mut listing = store.list(&ObjectKey::video_prefix(video));
    while let Some(object) = listing.next().await {
        let object = object?;
        if let Ok(key) = object.name.parse() {
            objects.insert(key, object.size_bytes);
        }
    }
    Ok(objects)
}

/// Finds the objects of videos that no row knows, and what is no object of ours.
async fn examine_strays(
    catalog: &Catalog,
    store: &dyn ObjectStore,
    findings: &mut Vec<Finding>,
) -> Result<(), PackagerError> {
    let mut last: Option<(VideoId, bool)> = None;
    let mut listing = store.list(ObjectKey::ROOT);
    while let Some(object) = listing.next().await {
        let object = object?;
        let Ok(key) = object.name.parse::<ObjectKey>() else {
            findings.push(Finding::Foreign { name: object.name, size_bytes: object.size_bytes });
            continue;
        };
        let video = key.video();
        let is_known = match last {
            Some((asked, is_known)) if asked == video => is_known,
            _ => catalog.known_video(video).await?.is_some(),
        };
        last = Some((video, is_known));
        if !is_known {
            findings.push(Finding::Unnamed { key, size_bytes: object.size_bytes });
        }
    }
    Ok(())
}
