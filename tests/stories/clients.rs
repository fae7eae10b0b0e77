//! Uploads by other people's tus clients.

use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tests::{Clip, Engines, Person, Stack, project_file};

async fn assert_arrived(stack: &Stack, creator: &Person, title: &str) {
    let mine = creator.get("/api/v1/videos?mine=true").await.expect(200).json();
    let found = mine["items"]
        .as_array()
        .and_then(|items| items.iter().find(|video| video["title"] == title).cloned());
    let video = found.unwrap_or_else(|| panic!("no `{title}` in {mine:#}"));
    let id = video["id"].as_str().expect("an id");
    let key = model::ObjectKey::Original { video: id.parse().expect("a video's id") };
    let stored = stack.bucket().get(&key).await.expect("the original is there");
    assert_eq!(Sha256::digest(&stored), Sha256::digest(Clip::Short.bytes()));
    creator.until_ready(id).await;
}

fn client(program: &str, script: &str, environment: (&str, &str), stack: &Stack, creator: &Person) -> Value {
    let output = Command::new(program)
        .arg(project_file(script))
        .args([&stack.url("/api/v1/uploads"), creator.token().expect("signed in")])
        .arg(Clip::Short.file())
        .env(environment.0, project_file(environment.1))
        .output()
        .unwrap_or_else(|e| panic!("run {program}: {e}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the client prints JSON")
}

async fn tus_clients_stop_and_resume(engines: Engines) {
    let stack = Stack::start_on(engines).await;
    let creator = stack.person("ana", "creator", 0).await;
    let node =
        client("node", "tests/clients/tus-js.cjs", ("NODE_PATH", "web/ui/node_modules"), &stack, &creator);
    assert!(node["video"].is_string(), "{node}");
    assert_arrived(&stack, &creator, "Desde tus-js-client").await;
    let python = client(
        "python3",
        "tests/clients/with_tuspy.py",
        ("PYTHONPATH", ".tools/tuspy-1.1.0"),
        &stack,
        &creator,
    );
    assert_eq!(python["offset"], python["size"]);
    assert_arrived(&stack, &creator, "Desde tuspy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_clients_stop_and_resume_on_a_folder_and_sqlite() {
    tus_clients_stop_and_resume(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_clients_stop_and_resume_on_s3_and_postgresql() {
    tus_clients_stop_and_resume(Engines::Servers).await;
}
