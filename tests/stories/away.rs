//! S3 and PostgreSQL that are away for a while: who watches plays on, and the film is made.

use std::time::Duration;

use tests::{Cells, Engines, Kind, Setup, Stack, TINY, Watching, film, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_film_survives_s3_away_and_a_crash_of_postgresql() {
    let cells = Cells::new();
    let rest = cells.hold(Kind::Rest);
    let configuration = cells.configuration("slots = 1");
    let setup = Setup { engines: Engines::Servers, configuration, is_breakable: true, ..Setup::default() };
    let stack = Stack::set_up(setup).await;
    let creator = stack.person("ana", "creator", 0).await;
    let video = creator.upload("A pesar de todo", TINY.file()).await;
    creator.until_plays(&video).await;
    let watching = Watching::start(&stack, &creator, &video).await;
    let begun = watching.get("144p/0.m4s").await.expect(200).body;
    cells.until_started("the second chunk", |cell| cell.kind == Kind::Rest).await;

    stack.line_to_s3().cut();
    stack.crash_postgres();
    drop(rest);
    // What the edge has in memory plays on; the rest is asked for again in a moment.
    assert_eq!(watching.get("144p/0.m4s").await.expect(200).body, begun);
    let unread = until("S3 to be missed", Duration::from_secs(60), || async {
        let answer = watching.get("a32/0.m4s").await;
        if answer.status == 503 { Ok(answer) } else { Err(answer.status) }
    })
    .await;
    assert!(!unread.header("retry-after").is_empty(), "{unread:?}");
    stack.line_to_s3().mend();
    until("S3 to be there again", Duration::from_secs(60), || async {
        let status = watching.get("a32/0.m4s").await.status;
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;

    // Once more with nothing in the way but the database.
    stack.crash_postgres();
    creator.until_ready(&video).await;
    let url = |name: &str| watching.url(&format!("{name}/playlist.m3u8"));
    let (picture, sound) = (url("144p"), url("a32"));
    let checked = tokio::task::spawn_blocking(move || {
        film::assert_every_frame_once(&picture, 500, 25.0, 2);
        film::assert_beeps(&sound, 20.0);
    });
    checked.await.expect("whole and in step");
    stack.cocuyo(&["sweep", "--in", "25h"]);
    assert_eq!(stack.cocuyo(&["doctor"]).trim(), "everything is in order");
}
