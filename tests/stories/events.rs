//! An event by its public door, as far as it goes without anybody who publishes.

use std::path::Path;

use serde_json::{Value, json};
use tests::Stack;

/// Every file below `folder` that holds `text`, and how many there are.
fn holding(folder: &Path, text: &str) -> (Vec<String>, usize) {
    let (mut found, mut files) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            let (more, others) = holding(&path, text);
            found.extend(more);
            files += others;
        } else if let Ok(bytes) = std::fs::read(&path) {
            files += 1;
            if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    (found, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_announced_and_ended_and_its_key_is_nowhere() {
    let stack = Stack::start().await;
    let (ana, eva) = (stack.person("ana", "creator", 0).await, stack.person("eva", "viewer", 0).await);
    eva.post("/api/v1/events", json!({"title": "Mío"})).await.expect(403);
    let order = json!({"title": "Carnaval", "visibility": "public"});
    let created = ana.post("/api/v1/events", order).await.expect(201).json();
    let id = created["id"].as_str().expect("an id").to_owned();
    let key = created["publish"]["key"].as_str().expect("a key").to_owned();
    let server = created["publish"]["rtmp_url"].as_str().expect("an address");
    assert!(server.starts_with("rtmp://") && server.ends_with("/live"), "{server}");

    let rotated = ana.post(&format!("/api/v1/events/{id}/key"), json!({})).await.expect(200).json();
    let new = rotated["key"].as_str().expect("a key").to_owned();
    assert_ne!(new, key);
    eva.post(&format!("/api/v1/events/{id}/end"), json!({})).await.expect(403);
    eva.post(&format!("/api/v1/videos/{id}/playback"), json!({})).await.expect(409);
    for path in ["", "/health"] {
        let told = ana.get(&format!("/api/v1/events/{id}{path}")).await.expect(200).text();
        assert!(!told.contains(&key) && !told.contains(&new), "{told}");
    }
    let page = eva.get(&format!("/watch/{id}")).await.expect(200).text();
    assert!(page.contains("Carnaval") && !page.contains(&key) && !page.contains(&new));

    let ended = ana.post(&format!("/api/v1/events/{id}/end"), json!({})).await.expect(200).json();
    assert_eq!((&ended["state"], &ended["began_at"]), (&json!("ended"), &Value::Null));
    assert_eq!(ended["video"]["state"], "ended", "nothing was ever on air");
    eva.get(&format!("/watch/{id}")).await.expect(200);
    ana.post(&format!("/api/v1/events/{id}/key"), json!({})).await.expect(409);

    for key in [key, new] {
        assert!(!stack.log().contains(&key), "it is in the log");
        let (found, files) = holding(&stack.data(), &key);
        assert!(files > 0 && found.is_empty(), "{found:?} of {files} files");
    }
    ana.delete(&format!("/api/v1/events/{id}")).await.expect(204);
    ana.get(&format!("/api/v1/events/{id}")).await.expect(404);
}
