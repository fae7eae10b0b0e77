//! The site's own player when hls.js loads no more although the event goes on, or may not.

use serde_json::{Value, json};
use tests::{Browser, Signal, Stack};

use crate::live::Broadcast;

#[tokio::test(flavor = "multi_thread")]
async fn a_player_that_loads_no_more_goes_on_where_the_event_is() {
    let stack = Stack::start().await;
    let event = Broadcast::create(&stack, 0).await;
    stack.person("eva", "viewer", 0).await;
    let _encoder = event.start(Signal::default());
    event.until_on_air().await;
    let viewer = ["--viewer", "eva:contraseña de eva"];
    let page = ["--base", &stack.url(""), "--video", &event.id];
    let browser = Browser::start("live.js", &[&page[..], &viewer].concat());
    let begun = browser.ask(&json!({ "play": true }));

    for loaders in [&["streamController", "audioStreamController"][..], &["audioStreamController"]] {
        let stopped = browser.ask(&json!({ "stop": loaders }));
        let loaded = stopped["buffered"].as_array().and_then(|ranges| ranges.last()?[1].as_f64());
        let loaded = loaded.unwrap_or_else(|| panic!("nothing is loaded: {stopped:#}"));
        // Whoever goes on where the event was stays as far behind as it stood.
        let is_there = |now: &Value| {
            now["time"].as_f64() > Some(loaded + 3.0) && now["behind"].as_f64().is_some_and(|s| s < 5.0)
        };
        let now = browser.until("what is live now", &json!({ "look": true }), is_there).await;
        assert_eq!((&now["failure"], &now["isSame"]), (&Value::Null, &json!(true)), "{loaders:?}: {now:#}");
        // Neither hls.js nor the player began anew.
        assert_eq!(now["sources"], begun["sources"], "{loaders:?}: {begun:#} {now:#}");
    }
    let refused = browser.ask(&json!({ "refuse": true }));
    // The playlists of picture and sound, and what of both was on its way.
    assert!(refused["refused"].as_u64().is_some_and(|times| times < 10), "{refused:#}");
    let is_there = |now: &Value| {
        now["time"].as_f64() > refused["time"].as_f64().map(|time| time + 8.0)
            && now["behind"].as_f64().is_some_and(|s| s < 5.0)
    };
    let now = browser.until("the event with another grant", &json!({ "look": true }), is_there).await;
    assert_eq!((&now["failure"], &now["sources"]), (&Value::Null, &begun["sources"]), "{now:#}");
    let told = browser.ask(&json!({ "close": true }));
    assert_eq!((&told["complaints"], &told["strangers"]), (&json!([]), &json!([])), "{told:#}");
}
