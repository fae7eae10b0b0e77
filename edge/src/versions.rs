//! What versions consist of, and their playlists: small things that are read once.
//!
//! A version is whole, with an index object in the store, or growing, and then the origin tells
//! what is there of it. Playlists are the same in both stages.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use cmaf::{ChunkRef, GrowingIndex, VersionIndex};
use futures::FutureExt;
use model::{ChunkHash, ErrorKind, ObjectKey, RenditionName, VersionId, VideoId};
use moka::future::Cache;
use moka::ops::compute::Op;
use storage::ObjectStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::document::Document;
use crate::error::EdgeError;
use crate::files;
use crate::growth::{self, Growth, Stage};
use crate::origin::Origin;
use crate::playlist::{self, Offered};
use crate::shelf::{HasSize, Shelf};

type Key = (VideoId, VersionId);

/// Bytes of the index of a film of some minutes,
const USUAL_INDEX: u64 = 16 << 10;
/// and of one of its playlists.
const USUAL_PLAYLIST: u64 = 8 << 10;
/// Growing versions that are followed at once, at most.
const FOLLOWED: u64 = 4096;

/// Indexes and media playlists, each read or written once for all who wait for it.
pub(crate) struct Versions {
    store: Arc<dyn ObjectStore>,
    origin: Arc<dyn Origin>,
    whole: Arc<Shelf<Key, Arc<VersionIndex>>>,
    growing: Cache<Key, Arc<Growth>>,
    playlists: Shelf<(VersionId, Listing), Document>,
    followers: TaskTracker,
    closing: CancellationToken,
}

/// A playlist of a rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Listing {
    Segments(RenditionName),
    IFrames(RenditionName),
}

/// A version as it is now.
pub(crate) enum Version {
    /// Published: nothing of it will change.
    Whole(Arc<VersionIndex>),
    /// Still being made, with what is there.
    Growing(Arc<Growth>, Arc<GrowingIndex>),
}

/// Where a segment is: the object, what is known of it, and the segment's place in it.
pub(crate) type Place<'a> = (ObjectKey, &'a ChunkRef, usize);

impl Versions {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, origin: Arc<dyn Origin>, bytes: u64) -> Self {
        Self {
            store,
            origin,
            whole: Arc::new(Shelf::new(bytes / 2, USUAL_INDEX)),
            growing: Cache::new(FOLLOWED),
            playlists: Shelf::new(bytes / 2, USUAL_PLAYLIST),
            followers: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// A version; absent if there is none.
    pub(crate) async fn of(&self, video: VideoId, version: VersionId) -> Result<Version, Arc<EdgeError>> {
        let key = (video, version);
        loop {
            if let Some(index) = self.whole.get(&key) {
                return Ok(Version::Whole(index));
            }
            let growth = match self.growing.get(&key).await {
                Some(growth) => growth,
                None => match self.whole(key).await {
                    Err(error) if matches!(*error, EdgeError::Absent) => {
                        match self.growing.try_get_with(key, self.follow(key)).await {
                            Ok(growth) => growth,
                            // It may have been published between the two questions.
                            Err(error) if matches!(*error, EdgeError::Absent) => {
                                return Ok(Version::Whole(self.whole(key).await?));
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    whole => return whole.map(Version::Whole),
                },
            };
            match growth.now() {
                Some(index) => return Ok(Version::Growing(growth, index)),
                // Its follower stopped at this moment.
                None => forget(&self.growing, key, &growth).await,
            }
        }
    }

    /// Lets nobody wait any longer.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// When nobody is to wait any longer.
    pub(crate) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    async fn whole(&self, key: Key) -> Result<Arc<VersionIndex>, Arc<EdgeError>> {
        let read = async { read_index(&*self.store, key.0, key.1).await.map(Arc::new) };
        self.whole.read(key, read).await
    }

    /// Begins to follow a version, if the origin says that it is growing.
    async fn follow(&self, key: Key) -> Result<Arc<Growth>, EdgeError> {
        let index = growth::ask(&*self.origin, key.0, key.1, None).await;
        let index = index.map_err(|source| EdgeError::Origin { what: "a growing version", source })?;
        let growth = Growth::new(index.ok_or(EdgeError::Absent)?);
        let followed = Arc::clone(&growth);
        let (origin, store) = (Arc::clone(&self.origin), Arc::clone(&self.store));
        let (whole, growing, closing) = (Arc::clone(&self.whole), self.growing.clone(), self.closing.clone());
        self.followers.spawn(async move {
            let follow = AssertUnwindSafe(followed.follow(&*origin, &*store)).catch_unwind();
            let last = tokio::select! {
                () = closing.cancelled() => Stage::Over,
                last = follow => last.unwrap_or_else(|_| {
                    tracing::error!(version.id = %key.1, "who followed a growing version panicked; it is followed anew");
                    Stage::Over
                }),
            };
            // Whoever was held looks again, and must find what came of it.
            if let Stage::Whole(index) = &last {
                whole.insert(key, Arc::clone(index));
            }
            forget(&growing, key, &followed).await;
            followed.end(last);
        });
        Ok(growth)
    }

    /// The playlist of one rendition.
    pub(crate) async fn playlist(
        &self,
        version: &Version,
        name: RenditionName,
    ) -> Result<Document, EdgeError> {
        let key = (version.id(), Listing::Segments(name));
        if let Some(playlist) = self.playlists.get(&key) {
            return Ok(playlist);
        }
        let text = match version {
            Version::Whole(index) => playlist::media(index.rendition(name).ok_or(EdgeError::Absent)?),
            Version::Growing(_, index) => {
                // Only an announced rendition has a timescale that is certain.
                version.init(name, 0)?;
                playlist::planned(index, name)
            }
        };
        let playlist = Document::new(text);
        self.playlists.insert(key, playlist.clone());
        Ok(playlist)
    }

    /// The I-frame playlist of one picture, written once for all who wait for it.
    ///
    /// # Errors
    /// There is no such picture, or not all of it is there.
    pub(crate) async fn i_frames(
        &self,
        version: &Version,
        name: RenditionName,
    ) -> Result<Document, Arc<EdgeError>> {
        let Version::Whole(index) = version else {
            return Err(version.init(name, 0).map_or_else(|error| error, |_| EdgeError::NotYet).into());
        };
        let key = (index.version, Listing::IFrames(name));
        if let Some(playlist) = self.playlists.get(&key) {
            return Ok(playlist);
        }
        let write = async {
            let rendition = index.rendition(name).ok_or(EdgeError::Absent)?;
            let chunks = files::tails(&*self.store, index, rendition).await?;
            let damaged = || {
                let key = ObjectKey::Index { video: index.video, version: index.version };
                EdgeError::Damaged { key: key.into() }
            };
            Ok(Document::new(playlist::i_frames(rendition, &chunks).ok_or_else(damaged)?))
        };
        self.playlists.read(key, write).await
    }
}

impl Version {
    fn id(&self) -> VersionId {
        match self {
            Self::Whole(index) => index.version,
            Self::Growing(_, index) => index.version,
        }
    }

    /// What its multivariant offers: of a growing one what plays without holes, or all that is
    /// `planned`.
    pub(crate) fn offers(&self, planned: bool) -> Vec<Offered<'_>> {
        match self {
            Self::Whole(index) => playlist::offers(index),
            Self::Growing(_, index) => playlist::growing_offers(index, planned),
        }
    }

    /// The hash of one of a rendition's initialisation segments; what is made here has one.
    pub(crate) fn init(&self, name: RenditionName, number: u32) -> Result<ChunkHash, EdgeError> {
        match self {
            Self::Whole(index) => {
                let rendition = index.rendition(name).ok_or(EdgeError::Absent)?;
                let format = rendition.formats().find(|format| format.number == number);
                Ok(format.ok_or(EdgeError::Absent)?.init_hash)
            }
            Self::Growing(_, index) if number > 0 || !index.has(name) => Err(EdgeError::Absent),
            Self::Growing(_, index) => Ok(index.announced(name).ok_or(EdgeError::NotYet)?.init_hash),
        }
    }

    /// An index that has at least a picture and the sound that goes with it, whole: of a growing
    /// version too, where these two are. It says of them what the finished one will.
    pub(crate) fn tracks(&self, picture: RenditionName) -> Result<Arc<VersionIndex>, EdgeError> {
        let index = match self {
            Self::Whole(index) => return Ok(Arc::clone(index)),
            Self::Growing(_, index) => index,
        };
        let names: Vec<_> = index.renditions().collect();
        if !names.contains(&picture) {
            return Err(EdgeError::Absent);
        }
        let tracks = picture.sound_of(&names).into_iter().chain([picture]);
        if tracks.clone().any(|name| !index.is_whole(name)) {
            return Err(EdgeError::NotYet);
        }
        let key = ObjectKey::Index { video: index.video, version: index.version };
        let unreadable = |source| EdgeError::Unreadable { key: key.into(), source };
        index.finish_only(tracks).map(Arc::new).map_err(unreadable)
    }

    /// Where segment `n` of a rendition is.
    ///
    /// # Errors
    /// There is no such segment, or it is being made.
    pub(crate) fn segment(&self, name: RenditionName, n: u32) -> Result<Place<'_>, EdgeError> {
        match self {
            Self::Whole(index) => {
                let rendition = index.rendition(name).ok_or(EdgeError::Absent)?;
                let mut left = n as usize;
                for chunk in &rendition.chunks {
                    if left < chunk.segments.len() {
                        return Ok((index.chunk_key(name, chunk), chunk, left));
                    }
                    left -= chunk.segments.len();
                }
                Err(EdgeError::Absent)
            }
            Self::Growing(_, index) => match index.chunk_of(name, n) {
                Some((chunk, place)) => Ok((index.chunk_key(name, chunk), chunk, place)),
                None if n < index.segment_count(name) => Err(EdgeError::NotYet),
                None => Err(EdgeError::Absent),
            },
        }
    }
}

/// About as many bytes as of JSON.
impl HasSize for Arc<VersionIndex> {
    fn size(&self) -> usize {
        let chunks = self.renditions.iter().flat_map(|rendition| &rendition.chunks);
        chunks.map(|chunk| 96 + 8 * chunk.segments.len()).sum::<usize>() + 1024
    }
}

/// Removes a growth, if it is still the one that is known.
async fn forget(growing: &Cache<Key, Arc<Growth>>, key: Key, growth: &Arc<Growth>) {
    let entry = growing.entry(key);
    entry
        .and_compute_with(async |known| match known {
            Some(known) if Arc::ptr_eq(known.value(), growth) => Op::Remove,
            _ => Op::Nop,
        })
        .await;
}

/// Reads a version's index object.
pub(crate) async fn read_index(
    store: &dyn ObjectStore,
    video: VideoId,
    version: VersionId,
) -> Result<VersionIndex, EdgeError> {
    let key = ObjectKey::Index { video, version };
    let json = store.get(&key).await.map_err(|source| match source.kind() {
        ErrorKind::NotFound => EdgeError::Absent,
        _ => EdgeError::Read { key: key.into(), source },
    })?;
    let index =
        VersionIndex::from_json(&json).map_err(|source| EdgeError::Unreadable { key: key.into(), source })?;
    // An index that was put in another's place would hand out another film.
    if (index.video, index.version) != (video, version) {
        return Err(EdgeError::Damaged { key: key.into() });
    }
    Ok(index)
}

/// For weighers, which count in 32 bits.
pub(crate) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
