//! What is wrong with a configuration is said in one line, with exit code 64.

use tests::{Finished, Stack, program, run};

fn serve_with(text: &str) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cocuyo.toml");
    std::fs::write(&file, text).expect("write the configuration");
    run(program("cocuyo"), &["serve", "--config", &file.to_string_lossy()])
}

#[track_caller]
fn assert_refused(finished: &Finished, code: i32, parts: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let lines: Vec<_> = finished.stderr.lines().collect();
    assert_eq!(lines.len(), 1, "one readable line: {finished:?}");
    for part in parts {
        assert!(lines[0].contains(part), "`{part}` in {}", lines[0]);
    }
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    assert_refused(&serve_with("[edge]\nkache = 1\n"), 64, &["kache", "cocuyo.toml", "line 2"]);
    assert_refused(&serve_with("rols = []\n"), 64, &["rols", "cocuyo.toml"]);
    assert_refused(&serve_with("[http]\nlisten = \"everywhere\"\n"), 64, &["line 2"]);
}

#[test]
fn a_missing_file_is_named() {
    let finished = run(program("cocuyo"), &["check-config", "--config", "/nowhere/cocuyo.toml"]);
    assert_refused(&finished, 64, &["/nowhere/cocuyo.toml"]);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    // A folder cannot be made below a file, not even by root.
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let data = file.path().join("data");
    let text = format!(
        "data = \"{}\"\nadmin_listen = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n[ingest]\nrtmp = \"off\"\n",
        data.display()
    );
    assert_refused(&serve_with(&text), 1, &[&data.to_string_lossy()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named() {
    let stack = Stack::start().await;
    let address = stack.url("").trim_start_matches("http://").to_owned();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().to_string_lossy().into_owned();
    let finished = run(program("cocuyo"), &["serve", "--data", &data, "--listen", &address]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.lines().last().is_some_and(|line| line.contains(&address)), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_told_once() {
    let mut stack = Stack::start().await;
    let log = stack.log();
    let password = log
        .lines()
        .find_map(|line| line.split_once("password: "))
        .map(|(_, password)| password.trim().to_owned());
    let password = password.unwrap_or_else(|| panic!("no password in {log}"));
    let admin = tests::Person::sign_in(stack.url(""), "admin", &password).await;
    assert_eq!(admin.get("/api/v1/session").await.expect(200).json()["role"], "admin");
    stack.stop_server().await;
    stack.start_server().await;
    assert!(!stack.log().contains("password: "), "{}", stack.log());
}

#[test]
fn check_config_shows_what_would_be_used_and_no_secret() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cocuyo.toml");
    let text = "database = \"postgres://cocuyo:hush@db/cocuyo\"\n[storage.s3]\nendpoint = \"http://127.0.0.1:1\"\nbucket = \"b\"\naccess_key_id = \"k\"\nsecret_access_key = \"hush\"\n";
    std::fs::write(&file, text).expect("write the configuration");
    let shown = run(program("cocuyo"), &["check-config", "--config", &file.to_string_lossy()]).ok();
    assert!(shown.contains("bucket = \"b\"") && shown.contains("[edge]"), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}
