//! Real encoders at the door for RTMP.

use model::feed::{FeedConfig, FeedTrack};

use crate::rtmp_door::{Door, EVENTS, H264, PICTURE, SILENCE, TONE, ffmpeg, finished};

#[tokio::test]
async fn pictures_and_sound_of_ffmpeg_come_over_with_their_times() {
    for (bframes, sound) in [("-bf 0", TONE), ("-bf 3", TONE)] {
        let door = Door::open();
        let arguments = format!("{PICTURE} {sound} -t 3 {H264} {bframes} -c:a aac -b:a 64k");
        let (code, said) = finished(ffmpeg(&arguments, &door.url())).await;
        assert_eq!(code, Some(0), "{said}");
        let feed = door.packager.until(0, "the end", |heard| heard.finished && heard.gone).await;
        assert_eq!((feed.video, feed.generation), (Some(EVENTS[0]), 1));
        assert!(feed.encoder.starts_with("Lavf"), "{}", feed.encoder);
        let [FeedConfig::H264 { avcc }, FeedConfig::Aac { asc }] = &feed.configs[..] else {
            panic!("{:?}", feed.configs)
        };
        assert!(avcc[4] & 3 == 3 && asc.len() >= 2);
        let pictures = feed.of(FeedTrack::Video);
        let keys = pictures.iter().filter(|packet| packet.key).count();
        assert_eq!((pictures.len(), keys), (75, 3), "{bframes}");
        assert!(pictures.windows(2).all(|pair| pair[1].dts - pair[0].dts == 40 * 90), "{bframes}");
        // Shown every 40 ms, each once, whatever their order is.
        let mut shown: Vec<_> =
            pictures.iter().map(|packet| packet.dts + i64::from(packet.cts_offset)).collect();
        shown.sort_unstable();
        assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 40 * 90), "{bframes} {shown:?}");
        let is_reordered = pictures.iter().any(|packet| packet.cts_offset != pictures[0].cts_offset);
        assert_eq!(is_reordered, bframes == "-bf 3");
        let sounds = feed.of(FeedTrack::Audio);
        assert!((140..=143).contains(&sounds.len()), "{}", sounds.len());
        assert!((feed.span_ms(FeedTrack::Audio) - (sounds.len() as i64 - 1) * 1024 / 48).abs() <= 1);
    }
}

#[tokio::test]
async fn silence_loses_no_time() {
    // 47 of its messages begin with a chunk without a header of its own.
    let door = Door::open();
    let (code, said) = finished(ffmpeg(&format!("{SILENCE} -t 3 -c:a aac -b:a 64k"), &door.url())).await;
    assert_eq!(code, Some(0), "{said}");
    let feed = door.packager.until(0, "the end", |heard| heard.finished && heard.gone).await;
    let times: Vec<_> = feed.of(FeedTrack::Audio).iter().map(|packet| packet.dts).collect();
    assert!((142..=143).contains(&times.len()), "{}", times.len());
    for (n, time) in times.iter().enumerate() {
        // 1,024 samples apart, to the millisecond that RTMP has.
        let exact = n as i64 * 1024 * 90_000 / 48_000;
        assert!((time - times[0] - exact).abs() <= 90, "frame {n}: {} and not {exact}", time - times[0]);
    }
}
