use live::View;
use proptest::prelude::*;

use super::*;

const VIDEO: VideoId = VideoId::from_bits(1);
const VERSION: VersionId = VersionId::from_bits(2);
const EVENT: &str = "/live/00000000000000000000000001/00000000000000000000000002";
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
        ("360p/iframes.m3u8", Resource::IFrames(picture), 360),
        ("360p/init.mp4", Resource::Init(picture, 0), 360),
        ("360p/init-1.mp4", Resource::Init(picture, 1), 360),
        ("a64/init.mp4", Resource::Init(sound, 0), 0),
        ("a64/init-4294967295.mp4", Resource::Init(sound, u32::MAX), 0),
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
fn this_is_the_whole_surface_of_an_event() {
    let (sound, picture) = (RenditionName::Audio { kbps: 64 }, RenditionName::Video { height: 360 });
    let table = [
        ("multivariant.m3u8", LiveRoute::Multivariant(View::Low), 0),
        ("normal/multivariant.m3u8", LiveRoute::Multivariant(View::Normal), 0),
        ("saver/multivariant.m3u8", LiveRoute::Multivariant(View::Saver), 0),
        ("360p/playlist.m3u8", LiveRoute::Playlist(View::Low, picture), 360),
        ("normal/a64/playlist.m3u8", LiveRoute::Playlist(View::Normal, sound), 0),
        ("saver/360p/playlist.m3u8", LiveRoute::Playlist(View::Saver, picture), 360),
        ("360p/init-0.mp4", LiveRoute::Init(picture, 0), 360),
        ("a64/init-12.mp4", LiveRoute::Init(sound, 12), 0),
        ("360p/17.m4s", LiveRoute::Segment(picture, 17), 360),
        ("360p/17.0.m4s", LiveRoute::Part(picture, 17, 0), 360),
        ("360p/4294967295.4294967295.m4s", LiveRoute::Part(picture, u32::MAX, u32::MAX), 360),
        ("saver/360p/0-0.m4s", LiveRoute::Joined(picture, 0, 0), 360),
        ("saver/a64/9-16.m4s", LiveRoute::Joined(sound, 9, 16), 0),
    ];
    for (name, live, height) in table {
        let (path, resource) = (format!("{EVENT}/{name}"), Resource::Live(live));
        let route = Route { video: VIDEO, version: VERSION, resource };
        assert_eq!(decoded(&path), Some((None, resource)), "{name}");
        assert_eq!(decoded(&format!("/t/a.b.c{path}")), Some((Some("a.b.c"), resource)), "{name}");
        assert_eq!(route.to_string(), path);
        assert_eq!((route.height(), route.name()), (height, live.name()), "{name}");
        assert_eq!(
            decoded(&format!("{BASE}/{name}")).is_none(),
            live != LiveRoute::Multivariant(View::Low)
                && name != "360p/playlist.m3u8"
                && name != "360p/17.m4s"
                && name != "a64/init-12.mp4",
            "{name}"
        );
    }
    for name in [
        "",
        "360p",
        "low/multivariant.m3u8",
        "low/360p/playlist.m3u8",
        "normal",
        "normal/",
        "normal/normal/multivariant.m3u8",
        "normal/360p/17.m4s",
        "normal/360p/17.0.m4s",
        "normal/360p/init-0.mp4",
        "saver/360p/17.m4s",
        "saver/360p/init-0.mp4",
        "saver/360p/9-17.m4s",
        "saver/360p/9-8.m4s",
        "saver/360p/-8.m4s",
        "saver/360p/8-.m4s",
        "saver/360p/08-9.m4s",
        "saver/360p/8-09.m4s",
        "saver/360p/8-9-10.m4s",
        "360p/8-9.m4s",
        "360p/init.mp4",
        "360p/init-.mp4",
        "360p/init-00.mp4",
        "360p/init-0.m4s",
        "360p/17.00.m4s",
        "360p/17..m4s",
        "360p/.0.m4s",
        "360p/17.0.0.m4s",
        "360p/17.m4s/",
        "360p.mp4",
        "poster.jpg",
        "../360p/17.m4s",
    ] {
        let path = format!("{EVENT}/{name}");
        assert_eq!(Route::decode(&Method::GET, &path), Err(Undecodable::NotFound), "{path:?}");
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
        &format!("{BASE}/a64/iframes.m3u8"),
        &format!("{BASE}/iframes.m3u8"),
        &format!("{BASE}/360p/init-0.mp4"),
        &format!("{BASE}/360p/init-01.mp4"),
        &format!("{BASE}/360p/init-.mp4"),
        &format!("{BASE}/360p/init--1.mp4"),
        &format!("{BASE}/360p/init-4294967296.mp4"),
        &format!("{BASE}/360p/init-1.m4s"),
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
    fn a_path_that_is_understood_has_no_other_spelling(path in "/(v|live)/[0-9a-z./%-]{20,80}") {
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
    fn a_changed_name_of_an_event_is_another_or_none(
        name in "((normal|saver|low)/)?(360p|a64)/((init-)?[0-9]{1,3}([.-][0-9]{1,3})?[.](m4s|mp4)|playlist[.]m3u8)",
    ) {
        if let Ok(target) = Route::decode(&Method::GET, &format!("{EVENT}/{name}")) {
            prop_assert_eq!(target.route.to_string(), format!("{EVENT}/{name}"));
        }
    }

    #[test]
    fn no_text_panics(path: String) {
        let _decoded_or_not = Route::decode(&Method::GET, &path);
        let _decoded_or_not = Route::decode(&Method::GET, &format!("/t/{path}"));
    }
}
