//! Every playlist of an event that goes as it may, read by a parser that is not ours.

use broadcast_hls::{MasterPlaylist, MediaPlaylist, MediaSegment};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::event::{NAMES, Showing, rewinding};
use crate::origin::grant;

#[tokio::test(start_paused = true)]
async fn another_parser_reads_what_was_meant() {
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let showing = Showing::start().await;
        showing.stage.part();
        for step in 0..40 {
            match rng.random_range(0..20) {
                0..=11 => showing.stage.parts(rng.random_range(1..8)),
                12..=14 => showing.stage.segments(rng.random_range(1..10)),
                15..=16 => showing.stage.cut(),
                17 => showing.stage.gap_and_change(),
                _ => showing.stage.part(),
            }
            if step == 39 {
                showing.stage.end();
            }
            let name = NAMES[rng.random_range(0..NAMES.len())];
            let wait = format!("{name}/playlist.m3u8");
            match step {
                39 => {
                    while !showing.get(&wait).await.text().contains("ENDLIST") {
                        tokio::task::yield_now().await;
                    }
                }
                _ => drop(showing.fresh(&wait).await),
            }
            for view in ["", "normal/", "saver/"] {
                look(&showing, view, name, step == 39).await;
            }
        }
    }
}

async fn look(showing: &Showing, view: &str, name: &str, ended: bool) {
    let multivariant = showing.get(&format!("{view}multivariant.m3u8")).await;
    let multivariant = MasterPlaylist::parse(multivariant.text()).unwrap();
    assert!(!multivariant.variants.is_empty());

    let path = format!("{view}{name}/playlist.m3u8");
    for grant in [grant(1080), rewinding(1080)] {
        let full = showing.ask("GET", &path, &grant, &[]).await;
        let text = full.text();
        let read = MediaPlaylist::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!((read.endlist, &read.extra_tags[..]), (ended, &[][..]), "{text}");
        assert_eq!(MediaPlaylist::parse(&read.to_m3u8().unwrap()).unwrap(), read, "{text}");
        let position = showing.stage.position(name);
        let parts = read.open_segment.as_ref().map_or(0, |open| open.parts.len());
        if view.is_empty() {
            assert_eq!(read.media_sequence + read.segments.len() as u64, u64::from(position.msn), "{text}");
            assert_eq!(parts as u32, position.parts, "{text}");
        }
        // Of what has nothing that this view lists nothing is said.
        let says_nothing = ended || view == "saver/" || (view == "normal/" && position.msn == 0);
        let reports = if says_nothing { 0 } else { NAMES.len() - 1 };
        assert_eq!(read.rendition_reports.len(), reports, "{text}");
        for segment in &read.segments {
            assert!(segment.duration.get().round() <= f64::from(read.target_duration), "{text}");
            let sum: f64 = segment.parts.iter().map(|part| part.duration.get()).sum();
            assert!(segment.parts.is_empty() || (sum - segment.duration.get()).abs() < 0.0002, "{text}");
        }

        let delta = showing.ask("GET", &format!("{path}?_HLS_skip=YES"), &grant, &[]).await;
        let delta = MediaPlaylist::parse(delta.text()).unwrap();
        let skipped = delta.skip.as_ref().map_or(0, |skip| skip.skipped_segments) as usize;
        let names =
            |segments: &[MediaSegment]| segments.iter().map(|one| one.uri.clone()).collect::<Vec<_>>();
        assert_eq!(delta.media_sequence, read.media_sequence);
        assert_eq!(names(&delta.segments), names(&read.segments[skipped..]), "{text}");
    }
}
