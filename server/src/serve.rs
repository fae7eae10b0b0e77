//! `cocuyo serve`: every part that the roles ask for, wired one by one.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use edge::link::OriginDoor;
use edge::{Edge, LiveSource};
use ingest::Ingest;
use ingest::rtmp::RtmpDoor;
use listener::access_log::AccessLog;
use listener::{Certificates, Door, Doors, Listener, OnRuntime, Place, StreamPort};
use model::SystemClock;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use packager::{Live, Packager};
use prometheus_client::registry::Registry;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use web::{LiveClips, LiveHealth};

use crate::account;
use crate::activation::Activation;
use crate::admin::{AdminDoor, Needs};
use crate::config::{Config, Overrides, Role};
use crate::enrolled::EnrolledEdges;
use crate::https::Https;
use crate::lifecycle::Lifecycle;
use crate::live;
use crate::origin::LocalOrigin;
use crate::own_edge;
use crate::parts::Parts;
use crate::publishers::EventPublishers;
use crate::reload::Reload;
use crate::samples;
use crate::uploaders::Uploaders;
use crate::webhooks;

/// How long parts have to end after the doors have drained.
const GRACE_BEYOND_DRAIN: Duration = Duration::from_secs(10);
/// Between two rounds of the reconcilers.
const ROUND: Duration = Duration::from_secs(60);
/// Between two sweeps of the bucket, which lists every object.
const SWEEP_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Serves by `config`, which came from `overrides`, until asked to stop.
pub(crate) async fn serve(
    config: Config,
    overrides: Overrides,
    https: Option<Https>,
    sample_clips: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let life = Lifecycle::default();
    let mut reload = Reload::listen()?;
    let certificates = https.as_ref().map(|https| https.certificates.clone());
    allow_many_files();
    // Sockets first: a taken port is the quickest thing to find out.
    let Ports { public, admin, live } = Ports::open(&config, certificates)?;
    let log = AccessLog::open(&config.access_log, Arc::new(SystemClock))?;
    let mut metrics = Registry::default();
    let opened = match config.own_edge()? {
        Some(link) => own_edge::open(&config, link, &life).await?,
        None => open(&config, sample_clips, live, &life).await?,
    };
    if let Some(rtmp) = opened.rtmp {
        rtmp.register(&mut metrics);
        for (scheme, address) in ["rtmp", "rtmps"].iter().zip(rtmp.addresses()) {
            if let Some(address) = address {
                crate::say(&format!("Cocuyo takes live streams at {scheme}://{}/live", shown(address)));
            }
        }
        let stop = life.stop();
        life.spawn("rtmp", async move {
            rtmp.run(stop).await;
            Ok(())
        });
    }
    if let Some(edge) = opened.edge {
        edge.register(&mut metrics);
        reload.add("limits of the edge", move |config| {
            edge.reload(&config.edge);
            Ok(())
        });
    }

    let (address, https_address) = (public.address(), public.https_address());
    info!("the operator's port is http://{}", admin.address());
    // Now that whoever the authority sends will be answered.
    let challenges = https.and_then(|https| https.start(&mut reload, &life));
    let doors = Doors::new(challenges.into_iter().chain(opened.doors)).logged(log.clone());
    doors.register(&mut metrics);
    let admin_door = AdminDoor { needs: opened.needs, stop: life.stop(), metrics: Arc::new(metrics) };
    let admin_doors = Doors::new([Arc::new(admin_door) as Arc<dyn Door>]);
    spawn_listener(&life, "admin", admin, admin_doors, CancellationToken::new());
    spawn_listener(&life, "doors", public, doors, life.drained());
    if let Some(log) = log {
        reload.add("access log", move |_| {
            log.reopen();
            Ok(())
        });
    }
    let stop = life.stop();
    life.spawn("reload", reload.run(overrides, stop));

    if let Some(address) = https_address {
        crate::say(&format!("Cocuyo serves https://{}", shown(address)));
    }
    crate::say(&format!("Cocuyo serves http://{}", shown(address)));
    let grace = Duration::from_secs(config.http.drain_s.into()) + GRACE_BEYOND_DRAIN;
    life.run(grace).await
}

/// All ports of a process: those that systemd opened, and those it did not.
struct Ports {
    public: Listener,
    /// The operator's.
    admin: Listener,
    /// RTMP's, plain and within TLS.
    live: [Option<StreamPort>; 2],
}

impl Ports {
    fn open(config: &Config, certificates: Option<Certificates>) -> anyhow::Result<Self> {
        let Activation { http, https, admin, rtmp, rtmps } = Activation::of_this_process()?;
        let place =
            |inherited: Option<TcpListener>, address| inherited.map_or(Place::At(address), Place::Inherited);
        if certificates.is_none() && (https.is_some() || rtmps.is_some()) {
            let name = if https.is_some() { "https" } else { "rtmps" };
            bail!("systemd opened a socket `{name}`, and neither `https.certificate` nor `[acme]` is given");
        }
        let mut public = Listener::open(place(http, config.http.listen), &config.http)?;
        let mut live = [None, None];
        if config.has(Role::Ingest) {
            // A socket of systemd's counts also where the file says `off`.
            let place = |inherited: Option<TcpListener>, address: Option<SocketAddr>| {
                inherited.map(Place::Inherited).or(address.map(Place::At))
            };
            let open = |place, certificates| StreamPort::open(place, certificates, &config.http);
            let plain = place(rtmp, config.ingest.rtmp).map(|place| open(place, None));
            let encrypted = certificates.as_ref().zip(place(rtmps, config.ingest.rtmps));
            let encrypted = encrypted.map(|(certificates, place)| open(place, Some(certificates)));
            live = [plain.transpose()?, encrypted.transpose()?];
        }
        if let Some(certificates) = certificates {
            public = public.with_https(place(https, config.https.listen), certificates)?;
        }
        let quiet = listener::Config {
            threads: std::num::NonZeroUsize::new(1),
            proxy_protocol_from: Vec::new(),
            ..config.http.clone()
        };
        let admin = Listener::open(place(admin, config.admin_listen), &quiet)?;
        Ok(Self { public, admin, live })
    }
}

/// An address as one would type it.
pub(crate) fn shown(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    }
}

/// What a process has opened to serve.
pub(crate) struct Opened {
    pub(crate) doors: Vec<Arc<dyn Door>>,
    /// The one among the doors that media goes out of.
    pub(crate) edge: Option<Edge>,
    /// Where live streams come in.
    pub(crate) rtmp: Option<RtmpDoor>,
    pub(crate) needs: Needs,
}

/// The doors of a process with a database, and what else it does.
async fn open(
    config: &Config,
    sample_clips: Option<PathBuf>,
    live: [Option<StreamPort>; 2],
    life: &Lifecycle,
) -> anyhow::Result<Opened> {
    let parts = Parts::open(config).await?;
    let mut rng: StdRng = rand::make_rng();
    parts.subscriptions.rotate_keys(parts.clock.now(), &mut rng).await.context("prepare the signing keys")?;
    account::first_administrator(&parts, &mut rng).await?;
    if let Some(clips) = &sample_clips {
        samples::add(&parts, config, clips, &mut rng).await?;
    }

    let packaged = config.has(Role::Packager).then(|| live::package(config, &parts, life));
    let events = match packaged.clone() {
        Some(live) => Some(Arc::new(live) as Arc<dyn LiveSource>),
        None => live::elsewhere(config, &parts, &mut rng)?,
    };
    let mut doors: Vec<Arc<dyn Door>> = Vec::new();
    let edge = config.has(Role::Edge).then(|| edge(config, &parts, events.clone(), life));
    doors.extend(edge.clone().map(|edge| Arc::new(edge) as Arc<dyn Door>));
    if config.has(Role::Ingest) {
        doors.push(ingest(config, &parts, life).await?);
    }
    // Edges ask either of them; live events are at home with the packager.
    if config.has(Role::Web) || config.has(Role::Packager) {
        doors.push(origin(&parts, events, &mut rng, life));
    }
    let rtmp = config.has(Role::Ingest).then(|| rtmp(config, &parts, live));
    if config.has(Role::Web) {
        let port = rtmp.as_ref().and_then(|rtmp| rtmp.addresses()[0]).map(|address| address.port());
        doors.push(web(config, &parts, packaged, port));
        tell_webhooks(config, &parts, life);
    }
    if config.has(Role::Packager) {
        package(config, &parts, life);
    }
    keep_house(life, &parts);
    Ok(Opened { doors, edge, rtmp, needs: Needs::Database(parts.subscriptions) })
}

fn edge(config: &Config, parts: &Parts, events: Option<Arc<dyn LiveSource>>, life: &Lifecycle) -> Edge {
    let origin = Arc::new(LocalOrigin::of(parts));
    let (store, clock) = (Arc::clone(&parts.store), Arc::clone(&parts.clock));
    let edge = Edge::new(config.edge.clone(), store, origin, events, clock);
    follow(&edge, config, life);
    edge
}

/// What an edge does beside answering: it hears its origin, and tells it what was sent.
pub(crate) fn follow(edge: &Edge, config: &Config, life: &Lifecycle) {
    let (follower, stop) = (edge.clone(), life.stop());
    life.spawn("edge follower", async move {
        follower.follow(stop).await;
        Ok(())
    });
    let (reporter, file, drained) = (edge.clone(), config.data.join("edge/sent.json"), life.drained());
    life.spawn("bytes sent", async move {
        reporter.report(file, &mut rand::make_rng::<StdRng>(), drained).await;
        Ok(())
    });
}

/// The door for edges of their own.
fn origin(
    parts: &Parts,
    events: Option<Arc<dyn LiveSource>>,
    rng: &mut StdRng,
    life: &Lifecycle,
) -> Arc<dyn Door> {
    let enrolled = Arc::new(EnrolledEdges::of(parts));
    let door = OriginDoor::new(Arc::new(LocalOrigin::of(parts)), enrolled, events, rng, life.stop());
    Arc::new(OnRuntime::new(door, Handle::current()))
}

async fn ingest(config: &Config, parts: &Parts, life: &Lifecycle) -> anyhow::Result<Arc<dyn Door>> {
    let uploaders = Uploaders {
        subscriptions: parts.subscriptions.clone(),
        clock: Arc::clone(&parts.clock),
        limits: config.uploads,
    };
    let ingest = Ingest::open(
        config.ingest.clone(),
        config.data.join("spool"),
        parts.catalog.clone(),
        Arc::clone(&parts.store),
        Arc::clone(&parts.clock),
        Arc::new(uploaders),
    )
    .await
    .context("prepare uploads")?;
    let (keeper, stop, clock) = (ingest.clone(), life.stop(), Arc::clone(&parts.clock));
    life.spawn("uploads", async move {
        loop {
            if let Err(error) = keeper.recover().await {
                error!("finish interrupted uploads: {:#}", anyhow::Error::from(error));
            }
            if let Err(error) = keeper.expire(clock.now()).await {
                error!("expire uploads: {:#}", anyhow::Error::from(error));
            }
            if !rest(&stop, ROUND).await {
                return Ok(());
            }
        }
    });
    // Apart from the rounds, one of which may be closing a large object.
    let (closer, stop) = (ingest.clone(), life.stop());
    life.spawn("end of uploads", async move {
        stop.cancelled().await;
        closer.close().await;
        Ok(())
    });
    Ok(Arc::new(OnRuntime::new(ingest, Handle::current())))
}

/// The door for live streams.
fn rtmp(config: &Config, parts: &Parts, [plain, encrypted]: [Option<StreamPort>; 2]) -> RtmpDoor {
    let publishers =
        EventPublishers { catalog: parts.catalog.clone(), subscriptions: parts.subscriptions.clone() };
    let (socket, clock) = (config.live_socket(), Arc::clone(&parts.clock));
    let exempt = config.ingest.exempt_networks.clone();
    RtmpDoor::new(plain, encrypted, Arc::new(publishers), socket, exempt, clock)
}

fn web(config: &Config, parts: &Parts, packaged: Option<Live>, rtmp_port: Option<u16>) -> Arc<dyn Door> {
    let state = web::State {
        catalog: parts.catalog.clone(),
        subscriptions: parts.subscriptions.clone(),
        store: Arc::clone(&parts.store),
        clock: Arc::clone(&parts.clock),
        config: Arc::new(config.web.clone()),
        health: packaged.clone().map(|live| Arc::new(live::Pulse(live)) as Arc<dyn LiveHealth>),
        clips: packaged.map(|live| Arc::new(live::Scissors(live)) as Arc<dyn LiveClips>),
        max_total_bytes: config.uploads.max_total_bytes,
        rtmp_port,
        audience: web::Viewers::default(),
    };
    Arc::new(OnRuntime::new(web::WebDoor::new(state), Handle::current()))
}

/// Tells other programs of events; whoever serves the API does it.
fn tell_webhooks(config: &Config, parts: &Parts, life: &Lifecycle) {
    let client = match webhook::Client::new(&config.webhooks) {
        Ok(client) => client,
        // A machine that trusts nobody serves all the same.
        Err(error) => {
            warn!("webhooks are not called from here: {:#}", anyhow::Error::from(error));
            return;
        }
    };
    let (parts, stop) = (parts.clone(), life.stop());
    life.spawn("webhooks", async move {
        webhooks::run(&parts.catalog, &client, &*parts.clock, stop).await;
        Ok(())
    });
}

fn package(config: &Config, parts: &Parts, life: &Lifecycle) {
    let mut settings = config.packager.clone();
    settings.scratch.get_or_insert_with(|| config.data.join("scratch"));
    let (store, clock) = (Arc::clone(&parts.store), Arc::clone(&parts.clock));
    let packager = Packager::new(settings, parts.catalog.clone(), store, clock);
    let stop = life.stop();
    life.spawn("packager", async move { packager.run(stop).await.context("package videos") });

    let (parts, stop) = (parts.clone(), life.stop());
    life.spawn("sweeper", async move {
        while rest(&stop, SWEEP_EVERY).await {
            match packager::sweep::sweep(&parts.catalog, &*parts.store, parts.clock.now()).await {
                Ok(swept) => info!("swept {} objects, {} bytes", swept.objects, swept.bytes),
                Err(error) => error!("sweep the bucket: {:#}", anyhow::Error::from(error)),
            }
        }
        Ok(())
    });
}

fn spawn_listener(
    life: &Lifecycle,
    name: &'static str,
    listener: Listener,
    doors: Doors,
    drained: CancellationToken,
) {
    let stop = life.stop();
    life.spawn(name, async move {
        let _drained = drained.drop_guard();
        let drain = listener.run(doors, stop).await?;
        if drain.dropped > 0 {
            info!("cut {} connections that did not finish in time", drain.dropped);
        }
        Ok(())
    });
}

/// The reconcilers: deletions that a crash cut short, and keys that are due.
fn keep_house(life: &Lifecycle, parts: &Parts) {
    let (parts, stop) = (parts.clone(), life.stop());
    life.spawn("reconcilers", async move {
        let mut rng: StdRng = rand::make_rng();
        loop {
            if let Err(error) = web::finish_erasures(&parts.catalog, &*parts.store, parts.clock.now()).await {
                error!("finish deletions: {:#}", anyhow::Error::from(error));
            }
            if let Err(error) = parts.subscriptions.rotate_keys(parts.clock.now(), &mut rng).await {
                error!("rotate signing keys: {:#}", anyhow::Error::from(error));
            }
            if !rest(&stop, ROUND).await {
                return Ok(());
            }
        }
    });
}

/// Takes as many descriptors as the machine allows: most systems begin with a soft limit of 1,024,
/// which is fewer than `http.max_connections`.
fn allow_many_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        warn!("could not raise the limit of open files: {error}");
    }
}

/// Waits for the next round; `false` when the process stops instead.
async fn rest(stop: &CancellationToken, pause: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(pause) => true,
    }
}
