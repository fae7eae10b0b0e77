//! Uploads through the real listener, with a real catalog and real stores.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod crashes;
mod interruptions;
mod limits;
mod nodes;
mod protocol;
mod s3;
mod stack;
