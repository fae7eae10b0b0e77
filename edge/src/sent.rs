//! Bytes that were sent: counted as they leave, kept on the disk, told to the origin once.
//!
//! They are summed per account and per video and apart from each other: nobody has to know who
//! watched what. A report that is under way does not change, and the next one does not begin
//! before it has arrived; whatever is counted meanwhile waits. So there are two heaps, however long
//! the origin is away.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use listener::{BoxError, Tally};
use model::{AccountId, Clock, Timestamp, VideoId};
use prometheus_client::metrics::counter::Counter;
use rand::Rng;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::kept;
use crate::origin::Origin;

/// How often what was counted goes to the disk and to the origin.
const EVERY: Duration = Duration::from_secs(10);
/// How long a report may take to arrive: it may be half a megabyte, on a thin line.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Sums that wait at most, of some 40 bytes each. Further accounts and videos are then not counted.
const WAITING: usize = 100_000;
/// Sums in one report.
const IN_REPORT: usize = 10_000;

/// Bytes per account and per video.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// To whom, by their grants.
    pub accounts: BTreeMap<AccountId, u64>,
    /// Of which video, to anybody.
    pub videos: BTreeMap<VideoId, u64>,
}

/// What an edge has sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentReport {
    /// Who numbers its reports; every hop puts its own name for the one before in front.
    pub sender: String,
    /// Greater than that of the report before. It is counted once.
    pub number: u64,
    /// Sums by day: whole days since 1970, in UTC.
    pub days: BTreeMap<i64, Sums>,
}

impl Sums {
    fn len(&self) -> usize {
        self.accounts.len() + self.videos.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Adds `more` to `sums`, where there is room for `room` new ones; returns how many are left out.
fn add<K: Ord + Copy>(sums: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>, room: usize) -> usize {
    let (mut room, mut left_out) = (room, 0);
    for (key, bytes) in more {
        match sums.entry(*key) {
            Entry::Occupied(mut sum) => *sum.get_mut() = sum.get().saturating_add(*bytes),
            Entry::Vacant(sum) if room > 0 => {
                sum.insert(*bytes);
                room -= 1;
            }
            Entry::Vacant(_) => left_out += 1,
        }
    }
    left_out
}

/// What has not arrived yet, as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spool {
    under_way: SentReport,
    waiting: BTreeMap<i64, Sums>,
}

impl Spool {
    fn new(rng: &mut impl Rng) -> Self {
        let sender = format!("{:016x}", rng.next_u64());
        let under_way = SentReport { sender, number: 0, days: BTreeMap::new() };
        Self { under_way, waiting: BTreeMap::new() }
    }

    /// Lets `sums` of a day wait; returns how many there is no room for.
    fn wait(&mut self, day: i64, sums: &Sums) -> usize {
        let room = WAITING.saturating_sub(self.waiting.values().map(Sums::len).sum());
        let waiting = self.waiting.entry(day).or_default();
        let left_out = add(&mut waiting.accounts, &sums.accounts, room);
        let room = room.saturating_sub(sums.accounts.len());
        left_out + add(&mut waiting.videos, &sums.videos, room)
    }

    /// The report that is to be sent, if there is one: the one under way, else a new one.
    fn next(&mut self) -> Option<&SentReport> {
        if self.under_way.days.is_empty() {
            let mut room = IN_REPORT;
            while let Some((&day, sums)) = self.waiting.iter_mut().next().filter(|_| room > 0) {
                let taken = Sums {
                    accounts: take(&mut sums.accounts, &mut room),
                    videos: take(&mut sums.videos, &mut room),
                };
                if sums.is_empty() {
                    self.waiting.remove(&day);
                }
                self.under_way.days.insert(day, taken);
            }
            if self.under_way.days.is_empty() {
                return None;
            }
            self.under_way.number += 1;
        }
        Some(&self.under_way)
    }

    /// The report under way has arrived.
    fn arrived(&mut self) {
        self.under_way.days.clear();
    }
}

fn take<K: Ord + Copy>(sums: &mut BTreeMap<K, u64>, room: &mut usize) -> BTreeMap<K, u64> {
    let rest = sums.keys().nth(*room).copied().map(|key| sums.split_off(&key)).unwrap_or_default();
    let taken = std::mem::replace(sums, rest);
    *room -= taken.len();
    taken
}

/// Counts what is sent.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    sums: Mutex<Sums>,
}

impl Meter {
    fn sums(&self) -> MutexGuard<'_, Sums> {
        // Sums are right between any two statements.
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, account: Option<AccountId>, video: VideoId, bytes: u64) {
        let mut sums = self.sums();
        if let Some(account) = account {
            *sums.accounts.entry(account).or_default() += bytes;
        }
        *sums.videos.entry(video).or_default() += bytes;
    }

    /// What counts a body that goes to `account`, or to everybody, and to this audience.
    pub(crate) fn tally(
        self: &Arc<Self>,
        account: Option<AccountId>,
        video: VideoId,
        audience: Counter,
    ) -> Arc<dyn Tally> {
        Arc::new(Counted { meter: Arc::clone(self), account, video, all: audience })
    }

    /// Keeps what was counted in `file`, and tells the origin, until all is `drained`: nothing is
    /// counted after that.
    pub(crate) async fn report(
        &self,
        origin: &dyn Origin,
        clock: &dyn Clock,
        file: PathBuf,
        rng: &mut impl Rng,
        drained: CancellationToken,
    ) {
        let mut spool = kept::read(&file).unwrap_or_else(|| Spool::new(rng));
        let mut ends = false;
        while !ends {
            tokio::select! {
                () = drained.cancelled() => ends = true,
                () = tokio::time::sleep(EVERY) => {}
            }
            let sums = std::mem::take(&mut *self.sums());
            let left_out = spool.wait(day(clock.now()), &sums);
            if left_out > 0 {
                tracing::error!(
                    "{left_out} sums of bytes sent are lost: the origin has been away for too long"
                );
            }
            if !sums.is_empty() {
                keep(&file, &spool).await;
            }
            tell(&mut spool, origin, &file).await;
        }
    }
}

/// Tells all that waits, as far as the origin hears it.
async fn tell(spool: &mut Spool, origin: &dyn Origin, file: &Path) {
    while let Some(report) = spool.next().cloned() {
        // Under this number nothing else may ever be sent, so it is on the disk first.
        if !keep(file, spool).await {
            return;
        }
        let heard: Result<(), BoxError> = match tokio::time::timeout(PATIENCE, origin.sent(report)).await {
            Ok(heard) => heard,
            Err(elapsed) => Err(elapsed.into()),
        };
        if let Err(error) = heard {
            tracing::debug!(
                error = &*error as &dyn std::error::Error,
                "the origin does not hear what was sent"
            );
            return;
        }
        spool.arrived();
        keep(file, spool).await;
    }
}

async fn keep(file: &Path, spool: &Spool) -> bool {
    let (path, spool) = (file.to_owned(), spool.clone());
    let error = match tokio::task::spawn_blocking(move || kept::write(&path, &spool)).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error,
        Err(error) => std::io::Error::other(error),
    };
    tracing::error!(%error, "cannot keep how many bytes were sent in `{}`", file.display());
    false
}

fn day(now: Timestamp) -> i64 {
    now.as_seconds().div_euclid(24 * 60 * 60)
}

/// Counts one body for whoever asks.
struct Counted {
    meter: Arc<Meter>,
    account: Option<AccountId>,
    video: VideoId,
    /// Of its audience.
    all: Counter,
}

impl Tally for Counted {
    fn add(&self, bytes: u64) {
        self.all.inc_by(bytes);
        self.meter.count(self.account, self.video, bytes);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn sums(accounts: impl IntoIterator<Item = (u128, u64)>, videos: u128) -> Sums {
        Sums {
            accounts: accounts.into_iter().map(|(id, bytes)| (AccountId::from_bits(id), bytes)).collect(),
            videos: (0..videos).map(|id| (VideoId::from_bits(id), 1)).collect(),
        }
    }

    fn spool() -> Spool {
        let under_way = SentReport { sender: "a".to_owned(), number: 0, days: BTreeMap::new() };
        Spool { under_way, waiting: BTreeMap::new() }
    }

    #[test]
    fn a_report_under_way_does_not_change_and_the_next_has_another_number() {
        let mut spool = spool();
        assert_eq!(spool.next(), None);
        spool.wait(1, &sums([(1, 10)], 0));
        let first = spool.next().cloned().unwrap();
        spool.wait(1, &sums([(1, 5), (2, 7)], 0));
        assert_eq!(spool.next(), Some(&first));
        spool.arrived();
        let second = spool.next().cloned().unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!(first.days, BTreeMap::from([(1, sums([(1, 10)], 0))]));
        assert_eq!(second.days, BTreeMap::from([(1, sums([(1, 5), (2, 7)], 0))]));
        spool.arrived();
        assert_eq!(spool.next(), None);
    }

    #[test]
    fn reports_are_of_a_size_and_nothing_is_lost_between_them() {
        let mut spool = spool();
        spool.wait(1, &sums([(1, 10)], 15_000));
        spool.wait(2, &sums([(1, 10)], 6_000));
        let (mut total, mut reports) = (0, 0);
        while let Some(report) = spool.next() {
            let lines: usize = report.days.values().map(Sums::len).sum();
            assert!(lines <= IN_REPORT && lines > 0);
            (total, reports) = (total + lines, reports + 1);
            spool.arrived();
        }
        assert_eq!((total, reports), (21_002, 3));
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_known_counts_on() {
        let mut spool = spool();
        assert_eq!(spool.wait(1, &sums([(1, 10)], WAITING as u128)), 1);
        assert_eq!(spool.wait(1, &sums([(1, 5), (2, 5)], 0)), 1);
        assert_eq!(spool.waiting[&1].accounts, sums([(1, 15)], 0).accounts);
        assert_eq!(spool.waiting[&1].len(), WAITING);
    }

    #[tokio::test]
    async fn a_body_counts_what_was_taken_of_it() {
        let (meter, all) = (Arc::new(Meter::default()), Counter::default());
        let (account, video) = (AccountId::from_bits(1), VideoId::from_bits(2));
        let body = |len: usize, account| {
            listener::full(vec![0; len]).tallied(meter.tally(account, video, all.clone()))
        };
        body(1_000_000, Some(account)).collect().await.unwrap();
        drop(body(77, Some(account)));
        body(5, None).collect().await.unwrap();
        let sums = std::mem::take(&mut *meter.sums());
        assert_eq!((sums.accounts[&account], sums.videos[&video]), (1_000_000, 1_000_005));
        assert_eq!(all.get(), 1_000_005);
    }
}
