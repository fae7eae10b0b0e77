//! The packager's workers: claim a job, keep its lease while the attempt runs, report its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalog::{Catalog, CatalogError, Claim, Job, JobFailure};
use model::{Clock, ErrorKind, FailureReason, WorkerId};
use storage::ObjectStore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::attempt::Attempt;
use crate::cell::RightOfWay;
use crate::halt::Halt;
use crate::scratch::Scratch;
use crate::turn::Turn;
use crate::{Config, PackagerError, abandoned, faults, jobs};

/// Workers on top of the configured ones that take only what somebody waits for: however many long
/// encodes are under way, a film may begin. One of them leaves sound to the others.
const EXPRESS: [Claim; 2] = [Claim::Express, Claim::Brief];
/// How many jobs that are made and only to be stored go on beside what their worker takes next: a
/// processor need not wait for a disk, and scratch space is bounded.
const STORED_BESIDE: usize = 1;
/// How many films' sound, past its first chunk, an express worker leaves to go on. Sound is one long
/// job, of which a film needs the first chunk to begin.
const SOUND_BESIDE: usize = 2;

/// How long an idle worker waits before it looks for a job that another process queued, or whose
/// time has come.
const IDLE: Duration = Duration::from_secs(1);
/// How long a worker waits for a database that is away.
const AWAY: Duration = Duration::from_secs(5);
/// How long a job waits after something around it failed.
const LATER: Duration = Duration::from_secs(20);
/// Between two tries to report: more often than others look for jobs, so that a lease which ran
/// out while the database was away is given back before it counts as a crash.
const REPORT: Duration = Duration::from_millis(200);
/// How long after a crash we may still be told to stop: whoever stops us may signal the
/// transcoder too, and its end be seen first.
const TOLD: Duration = Duration::from_millis(500);
/// So many crashes before make this try the last one.
const LAST_TRY: u8 = 2;
/// How long it waits for an operator to make room.
const FULL: Duration = Duration::from_secs(60);

/// Carries out the jobs of packaging until it is stopped.
#[derive(Debug)]
pub struct Packager {
    config: Config,
    catalog: Catalog,
    store: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    right_of_way: RightOfWay,
}

impl Packager {
    /// A packager of the videos in `catalog`, whose objects are in `store`.
    pub fn new(config: Config, catalog: Catalog, store: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        let (tasks, right_of_way) = (TaskTracker::new(), RightOfWay::new());
        Self { config, catalog, store, clock, tasks, right_of_way }
    }

    /// Works until `stop`; then ends its transcoders, gives their jobs back and returns.
    ///
    /// # Errors
    ///
    /// When the scratch folder cannot be used, or a worker dies of a defect.
    pub async fn run(self, stop: CancellationToken) -> Result<(), PackagerError> {
        Scratch::clear(&self.config.scratch()).map_err(PackagerError::Scratch)?;
        let packager = Arc::new(self);
        let host = tokio::fs::read_to_string("/proc/sys/kernel/hostname").await.unwrap_or_default();
        let slots = packager.config.slots();
        let workers: Vec<_> = std::iter::repeat_n(Claim::Any, slots)
            .chain(EXPRESS)
            .enumerate()
            .map(|(slot, claim)| {
                let id = WorkerId::new(format!("{}/{}/{slot}", host.trim(), std::process::id()));
                let (packager, stop) = (packager.clone(), stop.clone());
                packager.tasks.clone().spawn(async move { packager.work(&id, claim, &stop).await })
            })
            .collect();
        // The first that fails ends all: one that is missing would not be noticed.
        let ended = workers.into_iter().map(|worker| async { worker.await? });
        let worked = futures::future::try_join_all(ended).await;
        if worked.is_err() {
            stop.cancel();
        }
        packager.tasks.close();
        packager.tasks.wait().await;
        worked.map(drop).map_err(PackagerError::Worker)
    }

    /// One worker; fails if a job dies of a defect.
    async fn work(
        self: &Arc<Self>,
        worker: &WorkerId,
        claim: Claim,
        stop: &CancellationToken,
    ) -> Result<(), JoinError> {
        let is_express = claim == Claim::Express;
        let beside = STORED_BESIDE + if is_express { SOUND_BESIDE } else { 0 };
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            match self.catalog.claim_next_job(worker, claim, self.clock.now(), self.config.lease()).await {
                Ok(Some(job)) => {
                    faults::at(faults::CLAIMED);
                    let turn = Turn::new(is_express);
                    under_way.spawn(self.clone().see_to(job, turn.clone(), stop.clone()));
                    turn.over().await;
                    while under_way.len() > beside
                        && let Some(ended) = under_way.join_next().await
                    {
                        ended?;
                    }
                    continue;
                }
                Ok(None) => tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    Some(ended) = under_way.join_next() => ended?,
                    () = self.catalog.job_queued() => {}
                    () = tokio::time::sleep(IDLE) => {}
                },
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "could not look for jobs");
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(AWAY) => {}
                    }
                }
            }
        }
        while let Some(ended) = under_way.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Carries out one attempt and clears up behind it. Its turn is over at its end at the latest.
    async fn see_to(self: Arc<Self>, job: Job, turn: Turn, stop: CancellationToken) {
        let Job { video, attempt, .. } = job;
        let work = jobs::describe(&job.work);
        let span = tracing::info_span!("package", video.id = %video, work, attempt);
        let _at_its_end = turn.end_when_dropped();
        async {
            self.carry_out(&job, &turn, &stop).await;
            self.tidy(&job).await;
        }
        .instrument(span)
        .await;
    }

    /// Carries out one attempt; what becomes of the job is in the catalog when this returns.
    async fn carry_out(&self, job: &Job, turn: &Turn, stop: &CancellationToken) {
        let started = Instant::now();
        let (halt, ended) = (stop.child_token(), CancellationToken::new());
        let position_ms = AtomicU64::new(0);
        let attempt = Attempt {
            config: &self.config,
            catalog: &self.catalog,
            store: &self.store,
            clock: &self.clock,
            tasks: &self.tasks,
            right_of_way: &self.right_of_way,
            stop: &halt,
            job,
            turn,
            position_ms: &position_ms,
        };
        let run = async {
            let result = jobs::carry_out(attempt).await;
            ended.cancel();
            result
        };
        let keep = async {
            let is_lost = self.keep_lease(job, &position_ms, &ended).await;
            if is_lost {
                halt.cancel();
            }
            is_lost
        };
        let (result, is_lost) = tokio::join!(run, keep);
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let failure = match result {
            Ok(()) => {
                tracing::info!(took_ms, "done");
                return;
            }
            Err(Halt::Lost) => {
                tracing::warn!(took_ms, "lost the lease, committing nothing");
                return;
            }
            Err(Halt::Stopped) if is_lost => {
                tracing::warn!(took_ms, "lost the lease, stopped");
                // Perhaps nobody has it: the database was away, which is not the film's fault.
                None
            }
            Err(Halt::Stopped) => {
                tracing::info!(took_ms, "stopped, giving it back");
                None
            }
            Err(Halt::Failed { reason, detail }) => {
                tracing::info!(took_ms, %reason, detail, "the video cannot be packaged");
                Some(JobFailure::Final(reason))
            }
            Err(Halt::Crashed { how }) if tokio::time::timeout(TOLD, stop.cancelled()).await.is_ok() => {
                tracing::info!(took_ms, how, "the transcoder was stopped, giving it back");
                None
            }
            Err(Halt::Crashed { how }) => {
                tracing::warn!(took_ms, how, "the transcoder crashed");
                Some(JobFailure::Crashed)
            }
            Err(Halt::TimedOut) if job.crashes < LAST_TRY => {
                tracing::warn!(took_ms, "the transcoder was too slow");
                Some(JobFailure::Crashed)
            }
            Err(Halt::TimedOut) => {
                tracing::warn!(took_ms, "the transcoder was too slow once more");
                Some(JobFailure::Final(FailureReason::TimedOut))
            }
            Err(Halt::Later(error)) => Some(self.later(error)),
        };
        match self.report(job, failure, stop).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tracing::info!("it is somebody else's now, or nobody's");
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "could not report; the lease will run out");
            }
            Ok(()) => {}
        }
    }

    /// Removes what there is of the job's version if it was given up, by this attempt or meanwhile.
    async fn tidy(&self, job: &Job) {
        if let Err(error) = abandoned::remove(&self.catalog, &*self.store, job).await {
            tracing::debug!(error = %Chain(&error), "left what was given up to the sweeper");
        }
    }

    /// What to do about a failure that is not the file's.
    fn later(&self, error: PackagerError) -> JobFailure {
        let chain = Chain(&error);
        match &error {
            // The row says that the upload is complete, and its bytes are gone: no wait brings
            // them back.
            PackagerError::Missing(_) => {
                tracing::error!(error = %chain, "an object that must be there is lost");
                JobFailure::Final(FailureReason::Internal)
            }
            PackagerError::Unfinished(_) | PackagerError::Damaged(_) => {
                tracing::error!(error = %chain, "the parts do not add up");
                JobFailure::Final(FailureReason::Internal)
            }
            PackagerError::Start(_) => {
                tracing::error!(error = %chain, "no transcoder");
                JobFailure::Retry { at: self.clock.now() + FULL }
            }
            _ => {
                tracing::warn!(error = %chain, "it has to wait");
                let wait = if error.kind() == ErrorKind::NoSpace { FULL } else { LATER };
                JobFailure::Retry { at: self.clock.now() + wait }
            }
        }
    }

    /// Tells the catalog how an attempt ended; without a failure the job is given back. A database
    /// that is away is waited for, since an unreported attempt counts as a crash; when we are told
    /// to stop, only a little.
    async fn report(
        &self,
        job: &Job,
        failure: Option<JobFailure>,
        stop: &CancellationToken,
    ) -> Result<(), CatalogError> {
        let mut tries_left = 4;
        loop {
            let now = self.clock.now();
            let reported = match failure {
                Some(failure) => self.catalog.fail_job(job.id, job.attempt, failure, now).await,
                None => self.catalog.release_job(job.id, job.attempt, now).await,
            };
            match reported {
                Err(error) if error.kind() == ErrorKind::Unavailable && tries_left > 0 => {
                    tries_left -= u32::from(stop.is_cancelled());
                    tokio::time::sleep(REPORT).await;
                }
                reported => return reported,
            }
        }
    }

    /// Extends the lease until the attempt has ended; gives whether it was lost meanwhile.
    ///
    /// A database that is away is not a lost lease until the lease has run out: its word counts,
    /// and it may have given the job to somebody else.
    async fn keep_lease(&self, job: &Job, position_ms: &AtomicU64, ended: &CancellationToken) -> bool {
        let lease = self.config.lease();
        let mut good_until = Instant::now() + lease;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => return false,
                () = tokio::time::sleep(self.config.heartbeat()) => {}
            }
            let now = self.clock.now();
            let position_ms = position_ms.load(Ordering::Relaxed);
            let asked = Instant::now();
            match self.catalog.extend_lease(job.id, job.attempt, position_ms, now, lease).await {
                Ok(true) => good_until = asked + lease,
                // The attempt may have committed its end a moment ago, which ends the lease as well.
                Ok(false) => return !ended.is_cancelled(),
                Err(error) => {
                    tracing::warn!(%error, "could not extend the lease");
                    if Instant::now() >= good_until {
                        return true;
                    }
                }
            }
        }
    }
}

/// An error with its causes, for one line of a log.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
