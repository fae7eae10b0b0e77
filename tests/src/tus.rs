use reqwest::Method;

use crate::{Answer, Person};

/// An upload by hand, request for request as tus 1.0 has them.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Path or URL of the upload.
    pub location: String,
    /// The video that it will be.
    pub video: String,
}

/// `Upload-Metadata`: keys, and their values in base 64.
pub fn tus_metadata(pairs: &[(&str, &str)]) -> String {
    let encoded = pairs.iter().map(|(key, value)| format!("{key} {}", base64(value.as_bytes())));
    encoded.collect::<Vec<_>>().join(",")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Upload {
    /// Creates an upload of `size` bytes that must be accepted.
    pub async fn create(person: &Person, title: &str, size: u64) -> Self {
        let answer = Self::try_create(person, title, &size.to_string()).await.expect(201);
        Self {
            location: answer.header("location").to_owned(),
            video: answer.header("cocuyo-video-id").to_owned(),
        }
    }

    /// Asks for an upload of `size` bytes.
    pub async fn try_create(person: &Person, title: &str, size: &str) -> Answer {
        let request = person
            .request(Method::POST, "/api/v1/uploads")
            .header("tus-resumable", "1.0.0")
            .header("upload-length", size)
            .header("upload-metadata", tus_metadata(&[("filename", "clip.mp4"), ("title", title)]));
        person.send(request).await
    }

    /// Sends bytes from `offset` on.
    pub async fn patch(&self, person: &Person, offset: u64, bytes: Vec<u8>) -> Answer {
        let request = person
            .request(Method::PATCH, &self.location)
            .header("tus-resumable", "1.0.0")
            .header("upload-offset", offset)
            .header("content-type", "application/offset+octet-stream")
            .body(bytes);
        person.send(request).await
    }

    /// Asks how many bytes the server has.
    pub async fn offset(&self, person: &Person) -> u64 {
        let request = person.request(Method::HEAD, &self.location).header("tus-resumable", "1.0.0");
        let answer = person.send(request).await.expect(200);
        answer.header("upload-offset").parse().expect("Upload-Offset is a number")
    }
}
