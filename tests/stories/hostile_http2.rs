//! Clients that speak HTTP/2 as nobody should, frame by frame; honest ones are served meanwhile.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tests::{Certified, Engines, Stack, project_file};

const HOME: &[u8] = b"GET / HTTP/1.1\r\nhost: video.example\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn floods_end_their_own_connection_and_nobody_elses() {
    let (certified, https) = Certified::make();
    let limits = "[http]\nheader_timeout_s = 2\nstall_timeout_s = 2\n";
    let mut stack =
        Stack::start_with(Engines::Embedded, &format!("{limits}{}", certified.configuration())).await;
    let address = stack.https_address();
    // Whether the server has to send such a client away, or may bear it.
    for (attack, must_end) in [
        ("rapid_reset", true),
        ("continuation_flood", true),
        ("empty_continuations", true),
        ("empty_data", true),
        ("closed_windows", true),
        ("rubbish", true),
        ("settings_flood", false),
        ("ping_flood", false),
        ("ping_flood_unread", false),
        ("one_byte_windows", false),
        ("large_header_list", false),
        ("header_bomb", false),
        ("too_many_streams", false),
    ] {
        let client = tokio::process::Command::new("python3")
            .arg(project_file("tests/clients/hostile_http2.py"))
            .args([&address.port().to_string(), attack])
            .env("PYTHONPATH", project_file(".tools/h2-4.4.1"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("run python3");
        let mut output = std::pin::pin!(client.wait_with_output());
        let output = loop {
            tokio::select! {
                output = &mut output => break output.expect("it runs"),
                answer = https.exchange(address, HOME) => {
                    let page = answer.unwrap_or_else(|error| panic!("during {attack}: {error}"));
                    assert!(page.starts_with("HTTP/1.1 200"), "during {attack}: {page}");
                }
            }
            // The pause between two honest visits.
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert!(output.status.success(), "{attack}: {}", String::from_utf8_lossy(&output.stderr));
        let seen: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        println!("{attack}: {seen}");
        let ended = seen["closed"] == true || !seen["goaway"].is_null();
        assert!(ended || !must_end, "{attack} was borne: {seen}");
        if attack == "large_header_list" || attack == "header_bomb" {
            assert!(ended || seen["resets"] != 0 || seen["answers"] != 0, "{attack}: {seen}");
        }
    }
    let page = https.exchange(address, HOME).await.expect("a page");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(!stack.log().contains("panicked"), "{}", stack.log());
    assert_eq!(stack.stop_server().await, Some(0));
}
