//! A certificate from an authority: got, kept, renewed, and waited for.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tests::{Certified, Engines, Finished, Https, Pebble, Stack, program, run, until};

const HOME: &[u8] = b"GET / HTTP/1.1\r\nhost: video.example\r\nconnection: close\r\n\r\n";
const MONTHS: Duration = Duration::from_secs(90 * 24 * 3600);

/// The certificate that a client is shown, as soon as it trusts one.
async fn shown(stack: &Stack, customer: &Https) -> Vec<u8> {
    until("a certificate that is trusted", Duration::from_secs(60), || async {
        let stream = customer.connect(stack.https_address()).await;
        let stream = stream.map_err(|error| (error.to_string(), stack.log()))?;
        let chain = stream.get_ref().1.peer_certificates().expect("a server shows one");
        assert!(chain.len() > 1, "the chain is shown too");
        Ok::<_, (String, String)>(chain[0].to_vec())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_away_is_waited_for_and_its_certificate_outlives_a_restart() {
    let mut pebble = Pebble::away();
    let mut stack = Stack::start_with(Engines::Embedded, &pebble.configuration()).await;
    until("a word about the authority", Duration::from_secs(30), || async {
        let log = stack.log();
        if log.contains("no new certificate") { Ok(()) } else { Err(log) }
    })
    .await;
    stack.stranger().get("/").await.expect(200);
    let (_, anybody) = Certified::make();
    let refused = anybody.connect(stack.https_address()).await.expect_err("there is no certificate");
    assert!(refused.to_string().contains("alert"), "{refused}");

    pebble.start(stack.address().port(), MONTHS).await;
    let customer = pebble.customer().await;
    let first = shown(&stack, &customer).await;
    let page = customer.exchange(stack.https_address(), HOME).await.expect("a page");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("</html>"), "{page}");
    assert_eq!(stack.log().matches("no new certificate").count(), 1, "{}", stack.log());
    assert!(!stack.log().contains("PRIVATE"), "a key is in the log");
    assert_eq!(pebble.orders(), 1, "{}", pebble.log());

    // The proof is over: its address is as unknown as any other.
    stack.stranger().get("/.well-known/acme-challenge/token").await.expect(404);
    for name in ["account.json", "certificate.json"] {
        let file = stack.data().join("acme").join(name);
        assert_eq!(file.metadata().expect(name).permissions().mode() & 0o777, 0o600, "{name}");
    }

    assert_eq!(stack.stop_server().await, Some(0));
    stack.start_server().await;
    assert!(shown(&stack, &customer).await == first, "another certificate after a restart");
    assert_eq!(pebble.orders(), 1, "{}", pebble.log());
    // Nor is the authority needed for it.
    stack.kill_server();
    pebble.stop();
    stack.start_server().await;
    assert!(shown(&stack, &customer).await == first, "another certificate without an authority");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_before_its_end_and_by_an_authority_that_forgot_us() {
    let mut pebble = Pebble::away();
    let stack = Stack::start_with(Engines::Embedded, &pebble.configuration()).await;
    let life = Duration::from_secs(20);
    pebble.start(stack.address().port(), life).await;
    let customer = pebble.customer().await;
    let first = shown(&stack, &customer).await;
    let second = until("another certificate", Duration::from_secs(60), || async {
        let shown = shown(&stack, &customer).await;
        if shown == first { Err(stack.log()) } else { Ok(shown) }
    })
    .await;
    assert!(pebble.orders() >= 2, "{}", pebble.log());

    // An authority that begins anew has another root and knows no account of ours; meanwhile the old
    // certificate is shown, over or not.
    pebble.stop();
    until("a word about it", Duration::from_secs(60), || async {
        let log = stack.log();
        if log.contains("no new certificate") { Ok(()) } else { Err(log) }
    })
    .await;
    let old = customer.connect(stack.https_address()).await;
    assert!(old.as_ref().map_or_else(|error| error.to_string().contains("Expired"), |_| true), "{old:?}");
    pebble.start(stack.address().port(), MONTHS).await;
    let customer = pebble.customer().await;
    assert!(shown(&stack, &customer).await != second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_not_found_is_told_and_http_is_served() {
    let mut pebble = Pebble::away();
    // Where nobody listens.
    pebble.start(1, MONTHS).await;
    let stack = Stack::start_with(Engines::Embedded, &pebble.configuration()).await;
    until("a word about the proof", Duration::from_secs(60), || async {
        let log = stack.log();
        let word = log.lines().find(|line| line.contains("prove that `video.example` is served here"));
        if word.is_some_and(|word| word.contains("refused")) { Ok(()) } else { Err(log) }
    })
    .await;
    stack.stranger().get("/").await.expect(200);
    assert_eq!(pebble.orders(), 1, "{}", pebble.log());
}

#[test]
fn what_cannot_be_ordered_is_named() {
    let good = Pebble::away().configuration();
    let (certified, _) = Certified::make();
    let files = certified.configuration().replace("[https]\n", "");
    let both = good.replace("[https]\nlisten = \"127.0.0.1:0\"\n", &format!("[https]\n{files}"));
    let with = |from: &str, to: &str| good.replace(from, to);
    for (text, part) in [
        (both, "the certificate is in files or from `[acme]`, not both"),
        (with("\"video.example\"", "\"*.video.example\""), "`*.video.example` cannot have a certificate"),
        (with("\"video.example\"", "\"192.0.2.1\""), "`192.0.2.1` cannot have a certificate"),
        (with("\"video.example\"", ""), "`acme.domains` is empty"),
        (with("terms_agreed = true\n", ""), "`acme.terms_agreed` is not true"),
        (with("ana@video.example", "ana"), "`acme.contact` is not an e-mail address"),
        (with("directory = \"https", "directory = \"http"), "`acme.directory` is not an https URL"),
        (with("certificate.pem", "nothing.pem"), "nothing.pem"),
        (with("domains =", "names ="), "unknown field `names`"),
    ] {
        for command in ["serve", "check-config"] {
            let Finished { code, stderr, .. } = configured(command, &text);
            assert_eq!(code, Some(64), "{command}: {stderr}");
            assert!(stderr.lines().count() == 1 && stderr.contains(part), "{part} in {stderr}");
        }
    }
}

fn configured(command: &str, text: &str) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cocuyo.toml");
    std::fs::write(&file, text).expect("write the configuration");
    run(program("cocuyo"), &[command, "--config", &file.to_string_lossy()])
}
