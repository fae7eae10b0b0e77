//! What was sent is counted to the byte, once, whatever dies in between.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::{Clip, Engines, Person, Stack, Watching, until};

/// A film for tier 1 and somebody who may watch it.
async fn published(stack: &Stack) -> (Person, String) {
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("Para abonados", Clip::Short.file()).await;
    creator.until_ready(&video).await;
    creator.publish(&video, 1).await;
    (stack.person("luis", "viewer", 1).await, video)
}

/// Fetches some of everything and says how many bytes came.
async fn watch(watching: &Watching, came: &Cell<usize>) {
    for name in
        ["multivariant.m3u8", "144p/playlist.m3u8", "144p/init.mp4", "144p/0.m4s", "144p.mp4", "poster.jpg"]
    {
        came.set(came.get() + watching.get(name).await.expect(200).body.len());
    }
    watching.ask(reqwest::Method::HEAD, "144p/0.m4s").await.expect(200);
    watching.get("144p/9999.m4s").await.expect(404);
}

async fn account(stack: &Stack) -> String {
    stack.row("SELECT id FROM accounts WHERE username = 'luis'").await
}

async fn counted(stack: &Stack, subject: &str) -> String {
    let sum = "SELECT CAST(coalesce(sum(bytes), 0) AS TEXT) FROM sent WHERE subject";
    stack.row(&format!("{sum} = '{subject}'")).await
}

async fn until_counted(stack: &Stack, subject: &str, bytes: usize) {
    until("the bytes to be counted", Duration::from_secs(60), || async {
        let seen = counted(stack, subject).await;
        if seen == bytes.to_string() { Ok(()) } else { Err((seen, bytes)) }
    })
    .await;
}

/// Bytes for an account in what an edge keeps until it has arrived.
fn kept(data: &Path, account: &str) -> u64 {
    let text = std::fs::read_to_string(data.join("edge/sent.json")).unwrap_or_default();
    let spool: Value = serde_json::from_str(&text).unwrap_or_default();
    let days = [&spool["under_way"]["days"], &spool["waiting"]].into_iter().filter_map(Value::as_object);
    days.flat_map(|days| days.values()).filter_map(|sums| sums["accounts"][account].as_u64()).sum()
}

async fn bytes_are_counted_once_where_everything_is_one_process(engines: Engines) {
    let mut stack = Stack::start_on(engines).await;
    let (viewer, video) = published(&stack).await;
    let account = account(&stack).await;
    let came = Cell::new(0);
    watch(&Watching::start(&stack, &viewer, &video).await, &came).await;
    // Whoever stops politely has told all of it.
    assert_eq!(stack.stop_server().await, Some(0));
    assert_eq!(counted(&stack, &account).await, came.get().to_string());
    stack.start_server().await;
    watch(&Watching::start(&stack, &viewer, &video).await, &came).await;
    until_counted(&stack, &account, came.get()).await;
    assert_eq!(counted(&stack, &video).await, came.get().to_string());
    // Nobody can read from it who watched what.
    let columns = stack.row("SELECT kind || ' ' || subject FROM sent WHERE kind = 'account'").await;
    assert!(!columns.contains(&video), "{columns}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_counted_once_where_everything_is_one_process_on_a_folder_and_sqlite() {
    bytes_are_counted_once_where_everything_is_one_process(Engines::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_counted_once_where_everything_is_one_process_on_s3_and_postgresql() {
    bytes_are_counted_once_where_everything_is_one_process(Engines::Servers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_edge_of_its_own_sent_while_the_origin_was_away_is_counted_once() {
    let mut stack = Stack::start().await;
    let mut edge = stack.add_edge("habana").await;
    let (viewer, video) = published(&stack).await;
    let account = account(&stack).await;
    let watching = Watching::start(&stack, &viewer, &video).await.at(&edge.url(""));
    let came = Cell::new(0);
    watch(&watching, &came).await;
    until_counted(&stack, &account, came.get()).await;
    let before = came.get();

    stack.kill_server();
    for _ in 0..2 {
        watch(&watching, &came).await;
        until("the edge to keep it", Duration::from_secs(60), || {
            let seen = kept(&edge.data(), &account);
            let wanted = (came.get() - before) as u64;
            std::future::ready(if seen == wanted { Ok(()) } else { Err((seen, wanted)) })
        })
        .await;
        edge.kill();
        edge.start_server().await;
    }
    stack.start_server().await;
    until_counted(&stack, &account, came.get()).await;
    assert_eq!(counted(&stack, &video).await, came.get().to_string());
    assert_eq!(kept(&edge.data(), &account), 0);
}
