//! Uploads by other people's tus clients.

use std::process::Command;

use expect_test::expect;
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
    // Two videos and nothing beside them.
    expect![[r#"
        4 VIDEO/VERSION/144p/*-HASH.cmaf
        2 VIDEO/VERSION/144p/init.mp4
        4 VIDEO/VERSION/240p/*-HASH.cmaf
        2 VIDEO/VERSION/240p/init.mp4
        4 VIDEO/VERSION/360p/*-HASH.cmaf
        2 VIDEO/VERSION/360p/init.mp4
        4 VIDEO/VERSION/a32/*-HASH.cmaf
        2 VIDEO/VERSION/a32/init.mp4
        4 VIDEO/VERSION/a64/*-HASH.cmaf
        2 VIDEO/VERSION/a64/init.mp4
        2 VIDEO/VERSION/index.json
        2 VIDEO/VERSION/poster.jpg
        2 VIDEO/VERSION/thumbnail.jpg
        2 VIDEO/original
    "#]]
    .assert_eq(&stack.outline().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_clients_stop_and_resume_on_a_folder_and_sqlite() {
    tus_clients_stop_and_resume(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_clients_stop_and_resume_on_s3_and_postgresql() {
    tus_clients_stop_and_resume(Engines::Servers).await;
}
