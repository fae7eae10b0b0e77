//! Rows about media: videos and what they consist of, events, uploads, jobs, withdrawn versions.
//!
//! The only code with SQL about media. It knows ids, states and moments, never bytes, URLs or
//! people: an owner is an id. Row structs stay inside; functions are sentences and each one is
//! a single transaction.
//!
//! # Consistency
//!
//! * A state change is a conditional update that names the state it was decided on and checks
//!   that one row changed; whoever comes second gets a `Conflict` and nothing half done.
//! * Work is enqueued in the transaction that makes it necessary. A [`Job`] is leased, its
//!   `attempt` grows with every claim, and whatever it commits checks that: a worker that lost its
//!   lease, however late it wakes, adds nothing and publishes nothing.
//! * A version *grows*: its plan starts it with all its jobs, announces the inits, and each job
//!   commits the chunks that it has stored. What was first at a place stays. The last job leaves
//!   the finish, which publishes, and the rows of the growing version go. A video whose job fails
//!   for good loses them at once, and its other jobs are ended; one that plays already, in a version
//!   that is whole, goes on playing as it was.
//! * A growing version's row is locked by whoever adds to it, or changes several of its jobs: so of
//!   two last jobs one leaves the finish.
//! * An upload's bytes count against its owner's limits from the transaction that creates it.
//! * A deleted video is invisible from the transaction that marks it. Its row stays, named by
//!   [`Catalog::deleted_videos`], until its objects are gone and [`Catalog::forget_video`] ends it.
//! * An event is a video, and outlives its publishers. Who publishes has a *turn* with a number; of
//!   two with the same key the later one has it, and what comes from an earlier turn changes nothing.
//! * Where a transaction locks several rows it takes upload, growing version, jobs, event, video, in
//!   this order.
//!
//! # Jobs
//!
//! ```text
//! plan ─┬─ sound                       commit_chunks… done ─┐
//!       ├─ pictures a0 a2 a6 a14 …     commit_chunks   done ├─ finish ─ publish
//!       ├─ pictures b0 b2 b6 b14 …     commit_chunks   done │
//!       └─ stills                      finish_job           ┘
//! ```
//!
//! A video that is whole may have one version more in the making: a [`Reencode`] of some pictures,
//! with chunks of these and one job that carries the rest over. Its publication puts it in the place
//! of the other, which is kept for those who watch it.
//!
//! Or one that is a stretch of it, by one job of its own: a [`Trim`]. Or, of a film that was an event, one
//! with the renditions that it lacks: a [`Work::Ladder`] plans it, and a trim puts that off.
//!
//! A chunk that a viewer waits for ([`Catalog::want_segment`]) is cut out of the queued one that
//! covers it and comes before the rest, until nobody waits any more.
//!
//! # Cancellation
//!
//! Dropping a future before it answers rolls its transaction back, or leaves it committed if the
//! commit was under way. Every function may be called again: those that were already effective
//! say so or change nothing.
//!
//! # Errors
//!
//! [`CatalogError::kind`]: `Unavailable` is worth another try, `Conflict` means that the row moved
//! on, the rest is final.

mod announcements;
mod catalog;
mod census;
mod clips;
mod convert;
mod copy;
mod error;
mod events;
mod growing;
mod jobs;
mod migrations;
mod news;
mod page;
mod progress;
mod publish;
mod reencode;
mod renditions;
mod revocations;
mod trims;
mod upload_parts;
mod uploads;
mod versions;
mod videos;
mod webhooks;

#[cfg(test)]
mod tests;

pub use announcements::{Announcement, Happened};
pub use catalog::Catalog;
pub use census::KnownVideo;
pub use clips::NewClip;
pub use error::CatalogError;
pub use events::{Admitted, Event, EventEdit, NewEvent};
pub use jobs::{Claim, Job, JobFailure, Work};
pub use page::{Listing, Page};
pub use progress::Progress;
pub use reencode::{Reencode, ReencodeRefusal, Reencoding};
pub use renditions::RenditionSummary;
pub use trims::{Trim, TrimRefusal, Trimmed};
pub use upload_parts::UploadPart;
pub use uploads::{NewUpload, Upload, UploadLimits};
pub use versions::NewVersion;
pub use videos::{Stage, Video, VideoEdit};
pub use webhooks::Webhook;
