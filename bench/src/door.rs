//! The public door, as a client sees it: sessions, uploads by tus, what becomes of a video, and its streams.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The account that does everything.
pub(crate) const USERNAME: &str = "bench";
pub(crate) const PASSWORD: &str = "banco de pruebas";
/// Bytes of one `PATCH`.
const PATCH: usize = 32 << 20;
/// Bytes that are handed to the connection at once.
const PIECE: usize = 1 << 20;
/// Between two looks at a video.
const GLANCE: Duration = Duration::from_millis(50);

/// Somebody signed in at the door of one server.
#[derive(Debug)]
pub(crate) struct Door {
    address: String,
    session: String,
    runtime: Runtime,
    client: Client,
}

/// An upload whose bytes may be sent.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    door: &'a Door,
    file: File,
    size: u64,
    location: String,
    /// The video that it will be.
    pub(crate) video: String,
}

/// When an upload ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// The last byte was given to the connection.
    pub(crate) last_byte: Instant,
    /// The server had answered to it.
    pub(crate) answered: Instant,
}

impl Door {
    /// A client that has not gone to any door yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            address: String::new(),
            session: String::new(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            // Between two questions a measurement takes minutes; the server ends what idles so long.
            client: Client::builder().pool_max_idle_per_host(0).build().context("make the client")?,
        })
    }

    /// Goes to `address` and signs in.
    pub(crate) fn enter(&mut self, address: &str) -> anyhow::Result<()> {
        address.clone_into(&mut self.address);
        self.session = self.sign_in(USERNAME)?;
        Ok(())
    }

    /// `127.0.0.1:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Runs `work` to its end.
    pub(crate) fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A pause between two looks at something that changes by itself.
    pub(crate) fn pause(&self) {
        // A timer can only be made inside the runtime.
        self.wait_for(async { tokio::time::sleep(GLANCE).await });
    }

    /// The token of a new login of this account.
    pub(crate) fn sign_in(&self, username: &str) -> anyhow::Result<String> {
        let request = self.client.post(self.url("/api/v1/session"));
        let answer = self.json(request.json(&json!({ "username": username, "password": PASSWORD })))?;
        Ok(answer["token"].as_str().context("a session has a token")?.to_owned())
    }

    /// A grant for `video`, made from the login with this token: the one for players that take
    /// nothing but a URL, which lives for hours.
    pub(crate) fn grant(&self, session: &str, video: &str) -> anyhow::Result<String> {
        let url = self.url(&format!("/api/v1/videos/{video}/playback"));
        let answer = self.json(self.client.post(url).bearer_auth(session))?;
        let path = answer["foreign_url"].as_str().and_then(|url| url.strip_prefix("/t/"));
        let token = path.and_then(|path| path.split('/').next());
        Ok(token.context("a gated video has a token")?.to_owned())
    }

    /// What the edge has at `path` for the bearer of this grant.
    pub(crate) fn fetch(&self, path: &str, grant: Option<&str>) -> anyhow::Result<Bytes> {
        let request = self.client.get(self.url(path));
        let answer = self.send(match grant {
            Some(grant) => request.bearer_auth(grant),
            None => request,
        })?;
        self.wait_for(answer.bytes()).with_context(|| format!("read {path}"))
    }

    /// Begins the upload of `film`; no byte of it is sent yet.
    pub(crate) fn begin(&self, film: &Path) -> anyhow::Result<Upload<'_>> {
        let file = File::open(film).with_context(|| format!("open `{}`", film.display()))?;
        let size = file.metadata().context("look at the film")?.len();
        let name = film.file_name().unwrap_or_default().to_string_lossy();
        let created = self.send(
            self.request(Method::POST, "/api/v1/uploads")
                .header("tus-resumable", "1.0.0")
                .header("upload-length", size)
                .header(
                    "upload-metadata",
                    format!("filename {0},title {0}", STANDARD.encode(name.as_bytes())),
                ),
        )?;
        let header = |name: &str| -> anyhow::Result<String> {
            let value = created.headers().get(name).with_context(|| format!("an upload has `{name}`"))?;
            Ok(value.to_str()?.to_owned())
        };
        let (location, video) = (header("location")?, header("cocuyo-video-id")?);
        Ok(Upload { door: self, file, size, location, video })
    }

    /// Uploads `film` and returns the video's id.
    pub(crate) fn upload(&self, film: &Path) -> anyhow::Result<String> {
        let upload = self.begin(film)?;
        let video = upload.video.clone();
        upload.finish()?;
        Ok(video)
    }

    /// What the API says of `video`.
    pub(crate) fn video(&self, video: &str) -> anyhow::Result<Value> {
        self.json(self.request(Method::GET, &format!("/api/v1/videos/{video}")))
    }

    /// Waits until the API says of `video` what `is_it` looks for, and returns that.
    pub(crate) fn wait(
        &self,
        video: &str,
        limit: Duration,
        is_it: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let seen = self.video(video)?;
            match seen["state"].as_str() {
                _ if is_it(&seen) => return Ok(seen),
                Some("failed") => bail!("packaging failed: {seen}"),
                _ if Instant::now() > deadline => bail!("not in time; last seen: {seen}"),
                _ => self.pause(),
            }
        }
    }

    /// Waits until all of `video` is there.
    pub(crate) fn wait_ready(&self, video: &str, limit: Duration) -> anyhow::Result<Value> {
        self.wait(video, limit, |seen| seen["state"] == "ready")
    }

    /// Shares `video` with whoever has tier 1.
    pub(crate) fn publish(&self, video: &str) -> anyhow::Result<()> {
        let request = self.request(Method::PATCH, &format!("/api/v1/videos/{video}"));
        self.json(request.json(&json!({ "visibility": "public", "min_tier": 1 })))?;
        Ok(())
    }

    /// Deletes `video`.
    pub(crate) fn delete(&self, video: &str) -> anyhow::Result<()> {
        self.send(self.request(Method::DELETE, &format!("/api/v1/videos/{video}")))?;
        Ok(())
    }

    /// One rendition of `video` as a player loads it: its init and every segment, in order.
    pub(crate) fn rendition(&self, video: &str, name: &str) -> anyhow::Result<Vec<u8>> {
        let asked = self.request(Method::POST, &format!("/api/v1/videos/{video}/playback"));
        let playback = self.json(asked)?;
        let multivariant = playback["url"].as_str().context("playback has a url")?;
        let folder = multivariant.trim_end_matches("multivariant.m3u8").to_owned() + name + "/";
        let token = playback["token"].as_str();
        let playlist = self.fetch(&(folder.clone() + "playlist.m3u8"), token)?;
        let mut bytes = Vec::new();
        for uri in uris(std::str::from_utf8(&playlist)?) {
            bytes.extend_from_slice(&self.fetch(&(folder.clone() + uri), token)?);
        }
        ensure!(!bytes.is_empty(), "{name} has no segments");
        Ok(bytes)
    }

    /// Announces an event of whose session this is, which everybody may watch; its id and its key.
    pub(crate) fn announce(
        &self,
        session: &str,
        record: bool,
        dvr_s: u32,
    ) -> anyhow::Result<(String, String)> {
        let order = json!({ "title": "bench", "visibility": "public", "record": record, "dvr_s": dvr_s });
        let request = self.client.post(self.url("/api/v1/events")).bearer_auth(session);
        let created = self.json(request.json(&order))?;
        let id = created["id"].as_str().context("an event has an id")?.to_owned();
        let key = created["publish"]["key"].as_str().context("an event has a key")?.to_owned();
        Ok((id, key))
    }

    /// The token of who does everything.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Has whose session this is told of their events at `url`.
    pub(crate) fn call_back(&self, session: &str, url: &str) -> anyhow::Result<()> {
        let request = self.client.put(self.url("/api/v1/webhook")).bearer_auth(session);
        self.send(request.json(&json!({ "url": url })))?;
        Ok(())
    }

    /// Ends an event of whose session this is.
    pub(crate) fn end(&self, session: &str, id: &str) -> anyhow::Result<()> {
        let url = self.url(&format!("/api/v1/events/{id}/end"));
        self.send(self.client.post(url).bearer_auth(session))?;
        Ok(())
    }

    /// Where `video` plays for everybody: `/live/{video}/{version}/` or `/v/{video}/{version}/`; `None` as
    /// long as nothing of it does.
    pub(crate) fn folder(&self, video: &str) -> anyhow::Result<Option<String>> {
        let asked = self.client.post(self.url(&format!("/api/v1/videos/{video}/playback")));
        let answer = self.wait_for(asked.send()).context("ask the server")?;
        if answer.status() == 409 {
            return Ok(None);
        }
        ensure!(answer.status().is_success(), "no playback of {video}: {}", answer.status());
        let playback: Value = self.wait_for(answer.json()).context("read the server's JSON")?;
        let url = playback["url"].as_str().context("playback has a url")?;
        Ok(Some(url.trim_end_matches("multivariant.m3u8").to_owned()))
    }

    fn url(&self, path: &str) -> String {
        if path.starts_with("http") { path.to_owned() } else { format!("http://{}{path}", self.address) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(&self.session)
    }

    fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = self.wait_for(request.send()).context("ask the server")?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, url) = (answer.status(), answer.url().clone());
        bail!("{url} says {status}: {}", self.wait_for(answer.text()).unwrap_or_default())
    }

    fn json(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = self.send(request)?;
        self.wait_for(answer.json()).context("read the server's JSON")
    }
}

impl Upload<'_> {
    /// Sends everything.
    pub(crate) fn finish(mut self) -> anyhow::Result<Sent> {
        let mut offset = 0;
        let last_byte = Arc::new(OnceLock::new());
        while offset < self.size {
            let length = (self.size - offset).min(PATCH as u64);
            let mut part = vec![0; usize::try_from(length)?];
            self.file.read_exact(&mut part).context("read the film")?;
            let is_last = offset + length == self.size;
            let pieces = pieces(part.into(), is_last.then(|| Arc::clone(&last_byte)));
            let request = self.door.request(Method::PATCH, &self.location);
            self.door.send(
                request
                    .header("tus-resumable", "1.0.0")
                    .header("upload-offset", offset)
                    .header("content-length", length)
                    .header("content-type", "application/offset+octet-stream")
                    .body(Body::wrap_stream(futures::stream::iter(pieces))),
            )?;
            offset += length;
        }
        let last_byte = *last_byte.get().context("a film has bytes")?;
        Ok(Sent { last_byte, answered: Instant::now() })
    }
}

/// `part` in pieces; when the last one is taken, `taken` is told.
fn pieces(
    mut part: Bytes,
    taken: Option<Arc<OnceLock<Instant>>>,
) -> impl Iterator<Item = std::io::Result<Bytes>> {
    std::iter::from_fn(move || {
        if part.is_empty() {
            return None;
        }
        let piece = part.split_to(part.len().min(PIECE));
        if let Some(taken) = taken.as_ref().filter(|_| part.is_empty()) {
            let _ = taken.set(Instant::now());
        }
        Some(Ok(piece))
    })
}

/// What a media playlist names: the init, then the segments.
fn uris(playlist: &str) -> impl Iterator<Item = &str> {
    playlist.lines().filter_map(|line| {
        let line = line.trim();
        match line.strip_prefix("#EXT-X-MAP:URI=\"") {
            Some(rest) => rest.split('"').next(),
            None => (!line.starts_with('#') && !line.is_empty()).then_some(line),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_is_noticed_when_it_goes() {
        let taken = Arc::new(OnceLock::new());
        let mut parts = pieces(Bytes::from(vec![7; PIECE + 1]), Some(Arc::clone(&taken)));
        assert_eq!(parts.next().unwrap().unwrap().len(), PIECE);
        assert!(taken.get().is_none());
        assert_eq!(parts.next().unwrap().unwrap().len(), 1);
        assert!(taken.get().is_some() && parts.next().is_none());
    }

    #[test]
    fn a_playlist_names_the_init_first() {
        let playlist = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4.0,\n0.m4s\n#EXTINF:4.0,\n1.m4s\n";
        assert_eq!(uris(playlist).collect::<Vec<_>>(), ["init.mp4", "0.m4s", "1.m4s"]);
    }
}
