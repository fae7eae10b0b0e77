use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Method, Request, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};

use crate::{Upload, until};

/// Somebody at the public door, signed in or not.
#[derive(Debug, Clone)]
pub struct Person {
    base: String,
    token: Option<String>,
    client: Client,
}

/// What a door said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: header::HeaderMap,
    /// The body.
    pub body: bytes::Bytes,
}

impl Answer {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

impl Person {
    /// Somebody without an account.
    pub fn stranger(base: String) -> Self {
        // Redirects are part of what a story looks at.
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self { base, token: None, client: client.build().expect("a client") }
    }

    /// Signs in by the API.
    pub async fn sign_in(base: String, username: &str, password: &str) -> Self {
        let mut person = Self::stranger(base);
        let credentials = json!({"username": username, "password": password});
        let answer = person.send(person.request(Method::POST, "/api/v1/session").json(&credentials)).await;
        let token = answer.json()["token"].as_str().map(str::to_owned);
        person.token = Some(token.unwrap_or_else(|| panic!("sign in `{username}`: {}", answer.text())));
        person
    }

    /// The same person at another door.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// The session's token.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request with the person's session.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.execute(request.build().expect("a request")).await
    }

    /// [`Person::send`] for a request that is put together.
    pub async fn execute(&self, request: Request) -> Answer {
        self.try_execute(request).await.expect("the server answers")
    }

    /// [`Person::execute`] where the server may be away.
    pub async fn try_execute(&self, request: Request) -> Result<Answer, reqwest::Error> {
        let response = self.client.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    /// [`Person::send`] for a task of its own.
    pub async fn send_owned(self, request: RequestBuilder) -> Answer {
        self.send(request).await
    }

    /// `GET` with the session.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `GET` with a grant instead of the session.
    pub async fn fetch(&self, path: &str, grant: Option<&str>) -> Answer {
        let request = Self { token: grant.map(str::to_owned), ..self.clone() }.request(Method::GET, path);
        self.send(request).await
    }

    /// `POST` of a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    /// `PATCH` of a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Uploads a file whole and returns the video's id.
    pub async fn upload(&self, title: &str, file: &Path) -> String {
        let bytes = std::fs::read(file).expect("read the source file");
        self.upload_bytes(title, bytes).await
    }

    /// Uploads bytes whole and returns the video's id.
    pub async fn upload_bytes(&self, title: &str, bytes: Vec<u8>) -> String {
        let upload = Upload::create(self, title, bytes.len() as u64).await;
        upload.patch(self, 0, bytes).await.expect(204);
        upload.video
    }

    /// The video as its owner sees it.
    pub async fn video(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/videos/{id}")).await.json()
    }

    /// Waits until the video is ready or failed, and returns it.
    pub async fn until_settled(&self, id: &str) -> Value {
        until("the video to be packaged", Duration::from_secs(400), || async {
            let video = self.video(id).await;
            match video["state"].as_str() {
                Some("ready" | "failed") => Ok(video),
                _ => Err(video),
            }
        })
        .await
    }

    /// Waits until the video can be watched, whole or not, and returns it.
    pub async fn until_plays(&self, id: &str) -> Value {
        until("the video to play", Duration::from_secs(120), || async {
            let video = self.video(id).await;
            if video["plays"] == true { Ok(video) } else { Err(video) }
        })
        .await
    }

    /// Waits until the video is ready.
    pub async fn until_ready(&self, id: &str) -> Value {
        let video = self.until_settled(id).await;
        assert_eq!(video["state"], "ready", "{video:#}");
        video
    }

    /// Makes a video visible to everybody with this tier.
    pub async fn publish(&self, id: &str, min_tier: u8) {
        let edit = json!({"visibility": "public", "min_tier": min_tier});
        self.patch(&format!("/api/v1/videos/{id}"), edit).await.expect(200);
    }

    /// Asks for playback: `{url, token, foreign_url, expires_at}`.
    pub async fn playback(&self, id: &str) -> Answer {
        self.post(&format!("/api/v1/videos/{id}/playback"), json!({})).await
    }
}
