//! What must not be told: no token in any line of any log, at any level.

use std::io::Write;
use std::sync::{Arc, Mutex};

use model::ObjectKey;
use tracing_subscriber::fmt::MakeWriter;

use crate::film::{VERSION, VIDEO};
use crate::origin::grant;
use crate::serving::{Serving, path};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_log_names_the_route_and_never_the_token() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let serving = Serving::start().await;
    let token = serving.signer.token(&grant(1080));
    let bad = format!("{}x", serving.signer.token(&grant(360)));
    serving.store.spoil(ObjectKey::Index { video: VIDEO, version: VERSION });
    for token in [&token, &bad] {
        let multivariant = path("multivariant.m3u8");
        serving.get(&format!("/t/{token}{multivariant}"), &[]).await;
        serving.get(&format!("/t/{token}/nowhere"), &[]).await;
        serving.get(&format!("{multivariant}?token={token}"), &[]).await;
        serving.get(&multivariant, &[&format!("authorization: Bearer {token}")]).await;
        serving.get(&multivariant, &[&format!("cookie: cocuyo_grant={token}")]).await;
        serving.ask("BREW", &format!("/t/{token}{multivariant}"), &[]).await;
    }

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for expected in
        [r#"route="multivariant""#, "status=503", "status=401", "token refused", "cannot serve /v/"]
    {
        assert!(log.contains(expected), "no {expected} in {log}");
    }
    for token in [&token, &bad] {
        for part in token.split('.') {
            assert!(!log.contains(part), "a part of a token is in {log}");
        }
    }
}
