//! The built user interface inside of the program: its files, the tags that load them, and the
//! content security policy that they need.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, StatusCode};
use model::ErrorKind;
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Deserialize;

use crate::WebError;

#[derive(RustEmbed)]
#[folder = "ui/dist"]
struct Dist;

/// A page's island.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Island {
    /// The player.
    Watch,
    /// The upload queue.
    Upload,
    /// The owner's list.
    Studio,
    /// The player of an event.
    Live,
    /// An event in its owner's hands.
    Broadcast,
}

impl Island {
    /// Its entry in Vite's manifest.
    const fn entry(self) -> &'static str {
        match self {
            Self::Watch => "src/watch.ts",
            Self::Upload => "src/upload.ts",
            Self::Studio => "src/studio.ts",
            Self::Live => "src/live.ts",
            Self::Broadcast => "src/broadcast.ts",
        }
    }
}

const STYLE_ENTRY: &str = "src/site.css";

/// What a document names in its head; empty where the user interface was not built.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    /// Style sheets.
    pub(crate) styles: Vec<String>,
    /// The island's module.
    pub(crate) script: Option<String>,
    /// What the module imports, to be fetched beside it.
    pub(crate) preloads: Vec<String>,
}

/// An entry of Vite's manifest.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk {
    file: String,
    imports: Vec<String>,
    css: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Hashes {
    style: Vec<String>,
}

struct Built {
    chunks: HashMap<String, Chunk>,
    policy: HeaderValue,
    player_policy: HeaderValue,
}

static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let chunks = read::<HashMap<String, Chunk>>(".vite/manifest.json");
    let hashes = read::<Hashes>("csp.json");
    Built { chunks, policy: policy(&[]), player_policy: policy(&hashes.style) }
});

fn read<T: Default + for<'de> Deserialize<'de>>(name: &str) -> T {
    let Some(file) = Dist::get(name) else { return T::default() };
    serde_json::from_slice(&file.data).expect("the user interface's own build wrote it")
}

/// Our own files only; what the player makes itself is `blob:` media. The player's controls
/// carry their style in elements, which are allowed one by one.
fn policy(styles: &[String]) -> HeaderValue {
    let styles: String = styles.iter().map(|hash| format!(" '{hash}'")).collect();
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'{styles}; img-src 'self' data:; \
         media-src 'self' blob:; connect-src 'self'; worker-src 'self'; font-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    );
    HeaderValue::from_str(&text).expect("base 64 and our own words are visible ASCII")
}

/// The policy for a page with this island.
pub(crate) fn content_security_policy(island: Option<Island>) -> HeaderValue {
    let built = &*BUILT;
    match island {
        Some(Island::Watch | Island::Live) => built.player_policy.clone(),
        _ => built.policy.clone(),
    }
}

/// The tags for a page with this island.
pub(crate) fn tags(island: Option<Island>) -> Tags {
    tags_from(&BUILT.chunks, island)
}

fn tags_from(chunks: &HashMap<String, Chunk>, island: Option<Island>) -> Tags {
    let url = |file: &String| format!("/assets/{file}");
    let mut tags = Tags::default();
    tags.styles.extend(chunks.get(STYLE_ENTRY).map(|chunk| url(&chunk.file)));
    let Some(entry) = island.and_then(|island| chunks.get(island.entry())) else { return tags };
    tags.script = Some(url(&entry.file));
    let mut waiting = vec![entry];
    while let Some(chunk) = waiting.pop() {
        tags.styles.extend(chunk.css.iter().map(url));
        for import in chunk.imports.iter().filter_map(|import| chunks.get(import)) {
            let import_url = url(&import.file);
            if !tags.preloads.contains(&import_url) {
                tags.preloads.push(import_url);
                waiting.push(import);
            }
        }
    }
    tags
}

/// `GET /assets/{file}`: a built file, compressed at build time.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    // Dot files and the policy's source are for this module, compressed twins have no own name.
    let (Some(content_type), Some(plain)) = (content_type(&name), Dist::get(&name)) else {
        return WebError::from(ErrorKind::NotFound).into_response();
    };
    let (encoding, file) = encoded(&name, plain, &headers);
    let etag = HeaderValue::from_str(&etag(&file)).expect("hexadecimal digits");
    let unchanged = headers.get(IF_NONE_MATCH).is_some_and(|known| known == etag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        file.data.into_owned().into_response()
    };
    let answer = response.headers_mut();
    answer.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control(&name)));
    answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
    answer.insert(ETAG, etag);
    if let Some(encoding) = encoding {
        answer.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn content_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "md" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

/// What Vite builds has a hash in its name; the public files keep theirs.
fn cache_control(name: &str) -> &'static str {
    if name.ends_with(".svg") || name.ends_with(".md") {
        "public, max-age=86400"
    } else {
        "public, max-age=31536000, immutable"
    }
}

fn encoded(name: &str, plain: EmbeddedFile, headers: &HeaderMap) -> (Option<&'static str>, EmbeddedFile) {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // RFC 9110 §12.5.3: a coding with weight 0 is refused.
    let accepts = |coding: &str| {
        accepted.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            parts.next() == Some(coding) && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00"))
        })
    };
    for (coding, extension) in [("br", "br"), ("gzip", "gz")] {
        if let Some(twin) = accepts(coding).then(|| Dist::get(&format!("{name}.{extension}"))).flatten() {
            return (Some(coding), twin);
        }
    }
    (None, plain)
}

fn etag(file: &EmbeddedFile) -> String {
    let digits: String = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_island_names_its_module_and_what_that_imports_once() {
        let manifest = r#"{
            "_shared.js": {"file": "shared-1.js"},
            "_deep.js": {"file": "deep-1.js", "imports": ["_shared.js"]},
            "src/site.css": {"file": "site-1.css"},
            "src/watch.ts": {"file": "watch-1.js", "imports": ["_shared.js", "_deep.js"], "css": ["watch-1.css"]}
        }"#;
        let chunks: HashMap<String, Chunk> = serde_json::from_str(manifest).unwrap();
        let tags = tags_from(&chunks, Some(Island::Watch));
        assert_eq!(tags.script.as_deref(), Some("/assets/watch-1.js"));
        assert_eq!(tags.styles, ["/assets/site-1.css", "/assets/watch-1.css"]);
        assert_eq!(tags.preloads, ["/assets/shared-1.js", "/assets/deep-1.js"]);
        assert_eq!(tags_from(&chunks, None).script, None);
        assert_eq!(tags_from(&HashMap::new(), Some(Island::Upload)), Tags::default());
    }

    #[test]
    fn the_policy_lets_nothing_inline_run_and_nothing_foreign_in() {
        let policy = policy(&["sha256-abc=".to_owned()]);
        let text = policy.to_str().unwrap();
        assert!(!text.contains("unsafe") && !text.contains("http") && !text.contains('*'), "{text}");
        assert!(text.contains("style-src 'self' 'sha256-abc=';"), "{text}");
    }

    #[tokio::test]
    async fn only_built_files_are_served() {
        for name in
            ["csp.json", ".vite/manifest.json", "../package.json", "%2e%2e/package.json", "none.js", "js"]
        {
            let response = file(Path(name.to_owned()), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
        }
    }
}
