use proptest::prelude::*;

use super::*;

const VIDEO: VideoId = VideoId::from_bits(1);
const VERSION: VersionId = VersionId::from_bits(2);
const BASE: &str = "/v/00000000000000000000000001/00000000000000000000000002";

fn decoded(path: &str) -> Option<(Option<&str>, Resource)> {
    let target = Route::decode(&Method::GET, path).ok()?;
    assert_eq!((target.route.video, target.route.version), (VIDEO, VERSION), "{path}");
    Some((target.token, target.route.resource))
}

#[test]
fn this_is_the_whole_surface() {
    let sound = RenditionName::Audio { kbps: 64 };
    let picture = RenditionName::Video { height: 360 };
    let table = [
        ("multivariant.m3u8", Resource::Multivariant, 0),
        ("360p/playlist.m3u8", Resource::Playlist(picture), 360),
        ("a64/playlist.m3u8", Resource::Playlist(sound), 0),
        ("360p/init.mp4", Resource::Init(picture), 360),
        ("a64/init.mp4", Resource::Init(sound), 0),
        ("360p/0.m4s", Resource::Segment(picture, 0), 360),
        ("360p/4294967295.m4s", Resource::Segment(picture, u32::MAX), 360),
        ("a64/17.m4s", Resource::Segment(sound, 17), 0),
        ("360p.mp4", Resource::Mp4(picture), 360),
        ("poster.jpg", Resource::Poster, 0),
        ("thumbnail.jpg", Resource::Thumbnail, 0),
    ];
    for (name, resource, height) in table {
        let route = Route { video: VIDEO, version: VERSION, resource };
        assert_eq!(decoded(&format!("{BASE}/{name}")), Some((None, resource)), "{name}");
        assert_eq!(decoded(&format!("/t/a.b-c_d.e{BASE}/{name}")), Some((Some("a.b-c_d.e"), resource)));
        assert_eq!(route.to_string(), format!("{BASE}/{name}"));
        assert_eq!(route.height(), height, "{name}");
    }
}

#[test]
fn every_other_path_is_absent() {
    let hostile = [
        "",
        "/",
        "/v",
        "/v/",
        "/t/",
        "/t/x",
        "/t/x/",
        "/t//v/",
        "*",
        BASE,
        &format!("{BASE}/"),
        &format!("{BASE}//multivariant.m3u8"),
        &format!("/{BASE}/multivariant.m3u8"),
        &format!("{BASE}/multivariant.m3u8/"),
        &format!("{BASE}/./multivariant.m3u8"),
        &format!("{BASE}/360p/../360p/0.m4s"),
        &format!("{BASE}/../../v/{VIDEO}/{VERSION}/poster.jpg"),
        &format!("/v/../v/{VIDEO}/{VERSION}/poster.jpg"),
        &format!("/v/{VIDEO}/../{VERSION}/poster.jpg"),
        &format!("/v/{VIDEO}%2f{VERSION}/poster.jpg"),
        &format!("/v/{VIDEO}/{VERSION}%2fposter.jpg"),
        &format!("/v/{VIDEO}/{VERSION}\\poster.jpg"),
        &format!("{BASE}/..%2fposter.jpg"),
        &format!("{BASE}/%2e%2e/poster.jpg"),
        &format!("{BASE}/%252e%252e/poster.jpg"),
        &format!("{BASE}/360p/..\\0.m4s"),
        &format!("{BASE}/poster.jpg%00"),
        &format!("{BASE}/poster.jpg\0"),
        &format!("{BASE}/poster.jpg;x"),
        &format!("{BASE}/%c0%ae%c0%ae/poster.jpg"),
        &format!("{BASE}/\u{c0}\u{ae}/poster.jpg"),
        &format!("{BASE}/poster%2ejpg"),
        &format!("{BASE}/Poster.jpg"),
        &format!("{BASE}/index.json"),
        &format!("{BASE}/original"),
        &format!("/v/{VIDEO}/original"),
        &format!("{BASE}/360p/00000-{}.cmaf", model::ChunkHash::of(b"")),
        &format!("{BASE}/360p/init.mp4/0.m4s"),
        &format!("{BASE}/360p/00.m4s"),
        &format!("{BASE}/360p/01.m4s"),
        &format!("{BASE}/360p/+1.m4s"),
        &format!("{BASE}/360p/-1.m4s"),
        &format!("{BASE}/360p/4294967296.m4s"),
        &format!("{BASE}/360p/.m4s"),
        &format!("{BASE}/360p/1.M4S"),
        &format!("{BASE}/0360p/1.m4s"),
        &format!("{BASE}/a64.mp4"),
        &format!("{BASE}/.mp4"),
        &format!("/v/{}/{VERSION}/poster.jpg", VIDEO.to_string().replace("1", "I")),
        &format!("/v/{VIDEO}0/{VERSION}/poster.jpg"),
        &format!("/t/x/t/y{BASE}/poster.jpg"),
        &format!("/t/x%2f{BASE}/../poster.jpg"),
    ];
    for path in hostile {
        assert_eq!(Route::decode(&Method::GET, path), Err(Undecodable::NotFound), "{path:?}");
    }
}

#[test]
fn other_methods_are_refused_where_there_is_something() {
    let path = format!("{BASE}/poster.jpg");
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(Route::decode(&method, &path).is_ok(), "{method}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE, Method::CONNECT] {
        assert_eq!(Route::decode(&method, &path), Err(Undecodable::Method), "{method}");
        assert_eq!(Route::decode(&method, "/v/x"), Err(Undecodable::NotFound), "{method}");
    }
}

proptest! {
    #[test]
    fn a_path_that_is_understood_has_no_other_spelling(path in "/v/[0-9a-z./%]{20,80}") {
        if let Ok(target) = Route::decode(&Method::GET, &path) {
            prop_assert_eq!(target.route.to_string(), path);
        }
    }

    #[test]
    fn a_changed_path_is_another_resource_or_none(at in 0usize..70, byte in 0x21u8..0x7f) {
        let mut path = format!("{BASE}/360p/17.m4s").into_bytes();
        let at = at % path.len();
        path[at] = byte;
        let path = String::from_utf8(path).unwrap();
        if let Ok(target) = Route::decode(&Method::GET, &path) {
            prop_assert_eq!(target.route.to_string(), path);
        }
    }

    #[test]
    fn no_text_panics(path: String) {
        let _decoded_or_not = Route::decode(&Method::GET, &path);
        let _decoded_or_not = Route::decode(&Method::GET, &format!("/t/{path}"));
    }
}
