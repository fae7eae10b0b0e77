//! The words of Cocuyo: ids, states, tiers, renditions, object keys, the claims of a grant, and
//! what the transcoder cell says. Every crate speaks them; this one does no I/O, knows no
//! database, no HTTP and no ffmpeg, and nothing in it can block.

mod chapter;
mod clock;
mod error;
mod event;
mod grant;
mod grid;
mod health;
mod id;
mod job;
mod key;
mod lane;
mod let_go;
mod policy;
mod preset;
mod rendition;
mod stream_key;
mod tier;
mod video;

pub mod cell;
pub mod feed;
#[cfg(feature = "testing")]
pub mod testing;

pub use chapter::Chapter;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::ErrorKind;
pub use event::{
    Air, ClipRefusal, ClipStretch, EventPolicy, EventState, PublishLimits, PublishRefusal, Takeovers,
};
pub use grant::{AUDIENCE, Grant, ISSUER, Use, Uses};
pub use grid::{SegmentGrid, SegmentStarts};
pub use health::{Health, HealthWarning, PictureHealth};
pub use id::{AccountId, ChunkHash, InvalidId, JobId, SessionId, UploadId, VersionId, VideoId};
pub use job::{JobState, WorkerId};
pub use key::{InvalidKey, ObjectKey};
pub use lane::Lane;
pub use let_go::LetGo;
pub use policy::{PublicPolicy, Revocation, Revoked};
pub use preset::SlowPreset;
pub use rendition::{InvalidRendition, RenditionName};
pub use stream_key::{StreamKey, StreamKeyHash};
pub use tier::{InvalidTier, Role, Tier, TierRights};
pub use video::{FailureReason, InvalidTransition, InvalidWord, VideoState, Visibility};
