//! Uploads through the real listener, with a real catalog and real stores, and live streams through
//! the real door, with a packager that only notes what it is told.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod crashes;
mod interruptions;
mod limits;
mod nodes;
mod packager;
mod protocol;
mod publisher;
mod rtmp;
mod rtmp_door;
mod rtmp_faults;
mod s3;
mod stack;
