//! What travels over the link, as JSON. Paths have a version, so a member that one end does not
//! know is a mistake, and refused.

use cmaf::GrowingIndex;
use live::Event;
use model::{PublicPolicy, Revocation};
use serde::{Deserialize, Serialize};

use crate::origin::Want;

/// Where the documents lie.
pub(crate) const ROOT: &str = "/origin/v1/";

/// What was revoked since a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevocationsDocument {
    /// The name of the list in which numbers count.
    pub(crate) list: String,
    /// The greatest number in it.
    pub(crate) number: u64,
    /// Whether these are all of the list; otherwise they come behind what the reader has.
    pub(crate) whole: bool,
    /// The revocations, the oldest first.
    pub(crate) revocations: Vec<Revocation>,
}

/// What everybody may have of a video.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyDocument {
    /// Absent if there is no such video.
    pub(crate) policy: Option<PublicPolicy>,
}

/// What there is of a version that grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum GrowingDocument {
    /// No such version grows.
    None,
    /// Nothing else than the reader knows.
    Unchanged,
    /// This.
    Index(Box<GrowingIndex>),
}

/// What a live event has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventDocument {
    /// Absent if there is no such event.
    pub(crate) event: Option<Event>,
}

/// Something that goes up: that a segment is wanted, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// The process that numbers its reports: random, another one after each start.
    pub(crate) sender: u64,
    /// The number of this one, from 1. It is counted once, however often it arrives.
    pub(crate) number: u64,
    /// What it is about.
    pub(crate) want: Want,
}
