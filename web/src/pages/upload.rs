//! Where creators send their files from; the sending itself is the island's and ingest's.

use askama::Template;
use axum::response::Response;
use http::StatusCode;

use super::assets::Island;
use super::frame::{Frame, Member, show};
use super::text;

#[derive(Template)]
#[template(path = "upload.html")]
struct Upload {
    frame: Frame,
}

/// `GET /upload`.
pub(crate) async fn page(Member { visit, person }: Member) -> Response {
    let island = person.role.may_upload().then_some(Island::Upload);
    let frame = Frame::new(&visit, text::say(visit.language(), "upload_title"), island);
    let upload = Upload { frame };
    show(StatusCode::OK, &upload.frame, &upload)
}
