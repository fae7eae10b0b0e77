//! The HTTPS port, its certificate, and sockets that systemd opened.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::{Certified, Engines, Finished, Stack, program, run, until};

const HOME: &[u8] = b"GET / HTTP/1.1\r\nhost: video.example\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_after_a_hangup_and_a_bad_one_never() {
    let (certified, old) = Certified::make();
    let stack = Stack::start_with(Engines::Embedded, &certified.configuration()).await;
    let address = stack.https_address();
    let page = old.exchange(address, HOME).await.expect("a page");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("</html>"), "{page}");
    stack.stranger().get("/").await.expect(200);

    let new = certified.renew();
    assert!(new.exchange(address, HOME).await.is_err(), "shown before it was asked for");
    stack.signal(Signal::SIGHUP);
    until("the new certificate", Duration::from_secs(10), || async {
        new.exchange(address, HOME).await.map_err(|error| error.to_string())
    })
    .await;
    assert!(old.exchange(address, HOME).await.is_err(), "the old one is still shown");

    std::fs::write(certified.file("key.pem"), "rubbish").expect("write a bad key");
    stack.signal(Signal::SIGHUP);
    until("a complaint", Duration::from_secs(10), || async {
        let log = stack.log();
        let complaint = log
            .lines()
            .find(|line| line.contains("`certificate` goes by the old configuration"))
            .map(str::to_owned);
        complaint.filter(|line| line.contains("key.pem")).ok_or(log)
    })
    .await;
    let page = new.exchange(address, HOME).await.expect("the certificate of before");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_without_a_certificate_changes_nothing() {
    let mut stack = Stack::start().await;
    stack.signal(Signal::SIGHUP);
    until("a word about it", Duration::from_secs(10), || async {
        let log = stack.log();
        if log.contains("goes by the new configuration") { Ok(()) } else { Err(log) }
    })
    .await;
    stack.stranger().get("/").await.expect(200);
    assert_eq!(stack.stop_server().await, Some(0));
}

#[test]
fn a_certificate_that_cannot_be_used_is_named() {
    let (certified, _) = Certified::make();
    let (other, _) = Certified::make();
    let good = certified.configuration();
    let with = |from: &str, to: &str| good.replace(from, to);
    let key = certified.file("key.pem").to_string_lossy().into_owned();
    let certificate = certified.file("certificate.pem").to_string_lossy().into_owned();
    for (text, part) in [
        (with(&key, "/nowhere/key.pem"), "/nowhere/key.pem"),
        (with(&certificate, "/nowhere/certificate.pem"), "/nowhere/certificate.pem"),
        (with(&key, &other.file("key.pem").to_string_lossy()), "not the key of the certificate"),
        (with(&format!("private_key = \"{key}\"\n"), ""), "`https.private_key` is not"),
    ] {
        for command in ["serve", "check-config"] {
            let Finished { code, stderr, .. } = configured(command, &text);
            assert_eq!(code, Some(64), "{command}: {stderr}");
            assert!(stderr.lines().count() == 1 && stderr.contains(part), "{part} in {stderr}");
        }
    }
    let shown = configured("check-config", &good).ok();
    assert!(shown.contains("[https]") && shown.contains("key.pem") && !shown.contains("PRIVATE"), "{shown}");
}

fn configured(command: &str, text: &str) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cocuyo.toml");
    std::fs::write(&file, text).expect("write the configuration");
    run(program("cocuyo"), &[command, "--config", &file.to_string_lossy()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_systemds_is_taken_over() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it has one");
    let data = tempfile::tempdir().expect("a temporary folder");
    let config = data.path().join("cocuyo.toml");
    let ports =
        "admin_listen = \"127.0.0.1:0\"\n[http]\nlisten = \"192.0.2.1:1\"\n[ingest]\nrtmp = \"off\"\n";
    std::fs::write(&config, ports).expect("write the configuration");
    // The kernel has a client before there is a server.
    let early = tokio::spawn(reqwest::get(format!("http://{address}/")));

    // As systemd does it: descriptor 3, and a word to the process that it is for.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http exec \"$@\"";
    let mut server = Killed(
        Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(program("cocuyo"))
            .args(["serve", "--config", &config.to_string_lossy(), "--data", &data.path().to_string_lossy()])
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the server"),
    );
    let answer = tokio::time::timeout(Duration::from_secs(30), early).await.expect("it is served in time");
    assert_eq!(answer.expect("no panic").expect("an answer").status(), 200);
    let pid = nix::unistd::Pid::from_raw(server.0.id().try_into().expect("a pid fits"));
    nix::sys::signal::kill(pid, Signal::SIGTERM).expect("it runs");
    let code = until("its end", Duration::from_secs(60), || {
        std::future::ready(server.0.try_wait().expect("ask for its state").ok_or("running"))
    })
    .await;
    assert_eq!(code.code(), Some(0));
}

/// Nobody may be left behind when a story fails halfway.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
