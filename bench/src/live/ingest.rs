//! What a publisher costs the door, beside nginx-rtmp: both take the same streams on a core of their own, and
//! neither packages.

use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::join_all;
use tempfile::TempDir;

use tests::Tape;

use super::Bench;
use super::capture::capture;
use super::event::Event;
use super::publisher::{Publisher, Publishing};
use super::sink::Sink;
use crate::installation::{Engines, Installation, Ports, Setup, on_core};
use crate::nginx::NGINX;
use crate::pairs::in_turn;
use crate::processes;
use crate::report::{Line, say};

/// Where Debian has it.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
/// The server's core, and that of its clients.
const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
/// What is due is sent so often: once for each picture.
const TICK: Duration = Duration::from_millis(33);

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<Vec<Line>> {
    let pairs = bench.size(bench.options.pairs, 5, 1);
    let publishers = bench.size(None, 300, 40) as usize;
    let seconds = bench.size(None, 30, 8);
    let capture = capture("640x360", 600)?;
    let installation = Installation::start(Setup::on(Engines::Folder))?;
    let events = Event::announce_many(&installation, publishers)?;
    let keys: Vec<String> = events.into_iter().map(|event| event.key).collect();
    pin(&CLIENT_CORE.to_string())?;
    let bench = &*bench;
    let mut ratios = Vec::new();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let measured: anyhow::Result<()> = (0..pairs).try_for_each(|pair| {
        let (cocuyo, nginx) = in_turn(
            pair,
            || cocuyo(bench, &installation, &capture, &keys, seconds),
            || nginx(bench, &capture, &keys, seconds),
        )?;
        say(format!("per publisher: cocuyo {cocuyo:.0} µs/s, nginx-rtmp {nginx:.0} µs/s"));
        ratios.push(nginx / cocuyo);
        ours.push(cocuyo);
        theirs.push(nginx);
        Ok(())
    });
    pin(&format!("0-{}", crate::report::cores() - 1))?;
    measured?;
    Ok(vec![
        Line::median("publishers_ingest_only_per_core_ratio", &ratios),
        Line::median("publisher_cpu_us_per_s_cocuyo", &ours),
        Line::median("publisher_cpu_us_per_s_nginx_rtmp", &theirs),
    ])
}

/// Puts all threads of this process on these cores.
fn pin(cores: &str) -> anyhow::Result<()> {
    let pid = std::process::id().to_string();
    let pinned = Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", cores, &pid]).output();
    ensure!(pinned.context("run taskset")?.status.success(), "the client could not be given its core");
    Ok(())
}

/// Ours with the role `ingest` alone, keys checked, feeds carried to a packager that throws them away.
fn cocuyo(
    bench: &Bench,
    installation: &Installation,
    capture: &Tape,
    keys: &[String],
    seconds: u32,
) -> anyhow::Result<f64> {
    let folder = TempDir::with_prefix("cocuyo-bench-").context("make a folder")?;
    let socket = folder.path().join("live.sock");
    let _sink = Sink::start(bench, &socket)?;
    let home = installation.data().display();
    let mut settings = "admin_listen = \"127.0.0.1:0\"\n".to_owned();
    writeln!(settings, "database = \"sqlite://{home}/cocuyo.db\"\nlive_socket = \"{}\"", socket.display())?;
    writeln!(settings, "[storage]\nfolder = \"{home}/objects\"")?;
    let (server, ports) =
        installation.beside("ingest", "ingest", Some(SERVER_CORE), &Ports::any(), &settings)?;
    measure(bench, server.pid(), &ports.rtmp, capture, keys, seconds)
}

/// nginx-rtmp with one worker, that lets everybody in and has nobody to send to.
fn nginx(bench: &Bench, capture: &Tape, keys: &[String], seconds: u32) -> anyhow::Result<f64> {
    ensure!(Path::new(MODULE).exists(), "`{MODULE}` is missing: `make tools-bench` installs it");
    let folder = TempDir::with_prefix("cocuyo-nginx-").context("make a folder")?;
    // Free now, and nobody else here takes ports.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let home = folder.path().display();
    let config = folder.path().join("nginx.conf");
    let text = format!(
        "load_module {MODULE};\ndaemon off;\nworker_processes 1;\nworker_rlimit_nofile 20000;\npid {home}/pid;\n\
         error_log {home}/error.log error;\nevents {{ worker_connections 10000; }}\n\
         rtmp {{ access_log off; server {{ listen {address}; chunk_size 4096; application live {{ live on; }} }} }}\n"
    );
    std::fs::write(&config, text).context("configure nginx")?;
    let errors = folder.path().join("error.log");
    let child = on_core(SERVER_CORE, Path::new(NGINX))
        .args(["-e".as_ref(), errors.as_os_str(), "-c".as_ref(), config.as_os_str()])
        .stdin(Stdio::null())
        .spawn()
        .context("start nginx")?;
    let nginx = Nginx(child);
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(&address).is_err() {
        ensure!(Instant::now() < deadline, "nginx-rtmp does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    measure(bench, nginx.0.id(), &address, capture, keys, seconds)
}

/// Its end when dropped.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        // The worker sees that its master is asked to end; a killed one would leave it behind.
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// Microseconds of processor that each publisher costs in a second.
fn measure(
    bench: &Bench,
    server: u32,
    address: &str,
    capture: &Tape,
    keys: &[String],
    seconds: u32,
) -> anyhow::Result<f64> {
    let begun = bench.runtime.block_on(join_all(keys.iter().enumerate().map(async |(n, key)| {
        tokio::time::sleep(Duration::from_millis(n as u64 * 10)).await;
        anyhow::Ok(Publisher::connect(address, key).await?.send(capture, TICK))
    })));
    let publishing = begun.into_iter().collect::<anyhow::Result<Vec<Publishing>>>()?;
    std::thread::sleep(Duration::from_secs(2));
    let (cpu, from) = (processes::cpu_seconds(server)?, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let cpu = processes::cpu_seconds(server)? - cpu;
    let elapsed = from.elapsed().as_secs_f64();
    let lost = publishing.iter().filter(|publishing| publishing.has_ended()).count();
    ensure!(lost == 0, "{lost} publishers were let go");
    say(format!("{} publishers, {:.2} of a core", keys.len(), cpu / elapsed));
    Ok(cpu / elapsed / keys.len() as f64 * 1e6)
}
