use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, Request};
use serde_json::Value;

use crate::{Answer, Person, Stack};

/// Somebody with a grant for one version of a video.
#[derive(Debug, Clone)]
pub struct Watching {
    person: Person,
    video: String,
    grant: String,
    /// `/v/{video}/{version}/`
    folder: String,
    /// The same with the grant in the path, as other people's players take it.
    foreign_folder: String,
}

impl Watching {
    /// Asks for playback, which must be given.
    pub async fn start(stack: &Stack, person: &Person, video: &str) -> Self {
        let playback = person.playback(video).await.expect(200).json();
        let folder = |url: &str| url.trim_end_matches("multivariant.m3u8").to_owned();
        Self {
            person: person.clone(),
            video: video.to_owned(),
            grant: playback["token"].as_str().expect("a token").to_owned(),
            folder: folder(playback["url"].as_str().expect("a url")),
            foreign_folder: folder(&stack.foreign_url(&playback)),
        }
    }

    /// Gets a new grant for the same version: one lasts for minutes.
    pub async fn renew(&mut self) {
        let playback = self.person.playback(&self.video).await.expect(200).json();
        playback["token"].as_str().expect("a token").clone_into(&mut self.grant);
    }

    /// The same at another door.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        let path = self.foreign_folder.find("/t/").expect("a grant in the path");
        let foreign_folder = format!("{base}{}", &self.foreign_folder[path..]);
        Self { person: self.person.at(base), foreign_folder, ..self.clone() }
    }

    /// The token of the grant.
    pub fn grant(&self) -> &str {
        &self.grant
    }

    /// A resource of the version: `360p/0.m4s`.
    pub async fn get(&self, name: &str) -> Answer {
        self.ask(Method::GET, name).await
    }

    /// [`Watching::get`] where the server may be away.
    pub async fn try_get(&self, name: &str) -> Result<Answer, reqwest::Error> {
        self.person.try_execute(self.request(Method::GET, name)).await
    }

    /// A resource of the version, by another method.
    pub async fn ask(&self, method: Method, name: &str) -> Answer {
        self.person.execute(self.request(method, name)).await
    }

    fn request(&self, method: Method, name: &str) -> Request {
        let request = self.person.request(method, &format!("{}{name}", self.folder));
        // Over the session that is in there already.
        let mut request = request.build().expect("a request");
        let bearer = format!("Bearer {}", self.grant).parse().expect("a token is ASCII");
        request.headers_mut().insert("authorization", bearer);
        request
    }

    /// A URL for programs that send no headers.
    pub fn url(&self, name: &str) -> String {
        format!("{}{name}", self.foreign_folder)
    }

    /// The renditions that are planned, those of sound too.
    pub async fn planned(&self) -> BTreeSet<String> {
        let multivariant = self.get("multivariant.m3u8?planned=1").await.expect(200).text();
        let uris = multivariant.split(['"', '\n']).filter_map(|part| part.strip_suffix("/playlist.m3u8"));
        uris.map(str::to_owned).collect()
    }

    /// The text of each planned rendition's playlist.
    pub async fn playlists(&self) -> BTreeMap<String, String> {
        let mut playlists = BTreeMap::new();
        for name in self.planned().await {
            let text = self.get(&format!("{name}/playlist.m3u8")).await.expect(200).text();
            playlists.insert(name, text);
        }
        playlists
    }

    /// The renditions that are offered to any player.
    pub async fn offered(&self) -> BTreeSet<String> {
        let multivariant = self.get("multivariant.m3u8").await.expect(200).text();
        let uris = multivariant.lines().filter_map(|line| line.strip_suffix("/playlist.m3u8"));
        uris.map(str::to_owned).collect()
    }
}

/// The names of all objects that belong to a published version, by its index.
pub fn named_by(index: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let video = format!("{}{}", model::ObjectKey::ROOT, text(&index["video"]));
    let folder = format!("{video}/{}", text(&index["version"]));
    let mut names: BTreeSet<String> = ["index.json", "poster.jpg", "thumbnail.jpg"]
        .map(|name| format!("{folder}/{name}"))
        .into_iter()
        .chain([format!("{video}/original")])
        .collect();
    for rendition in index["renditions"].as_array().expect("a list") {
        let folder = format!("{folder}/{}", text(&rendition["name"]));
        names.insert(format!("{folder}/init.mp4"));
        for chunk in rendition["chunks"].as_array().expect("a list") {
            let number = chunk["number"].as_u64().expect("a number");
            names.insert(format!("{folder}/{number:05}-{}.cmaf", text(&chunk["hash"])));
        }
    }
    names
}
