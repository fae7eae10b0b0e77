//! Real encoders at the door for RTMP.

use std::process::Stdio;

use model::feed::{FEED_TIMESCALE, FeedConfig, FeedTrack};
use tokio::process::Command;

use crate::publisher::{AAC_CONFIG, AAC_FRAME, AUDIO, Publisher, VIDEO};
use crate::rtmp_door::{Door, EVENTS, H264, PICTURE, SILENCE, TONE, ffmpeg, finished, until};

#[tokio::test]
async fn pictures_and_sound_of_ffmpeg_come_over_with_their_times() {
    for bframes in ["-bf 0", "-bf 3"] {
        let door = Door::open();
        let arguments = format!("{PICTURE} {TONE} -t 3 {H264} {bframes} -c:a aac -b:a 64k");
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
        assert_frames_follow(&feed.of(FeedTrack::Audio).iter().map(|packet| packet.dts).collect::<Vec<_>>());
        door.until_ended("finished", 1).await;
        door.until_counted("cocuyo_live_publishers", 0).await;
    }
}

#[tokio::test]
async fn silence_loses_no_time() {
    // 47 of its messages begin with a chunk that has no header of its own.
    let door = Door::open();
    let (code, said) = finished(ffmpeg(&format!("{SILENCE} -t 3 -c:a aac -b:a 64k"), &door.url())).await;
    assert_eq!(code, Some(0), "{said}");
    let feed = door.packager.until(0, "the end", |heard| heard.finished && heard.gone).await;
    assert_frames_follow(&feed.of(FeedTrack::Audio).iter().map(|packet| packet.dts).collect::<Vec<_>>());
}

/// Three seconds of AAC at 48 kHz: 1,024 samples apart, to the millisecond that RTMP has.
fn assert_frames_follow(times: &[i64]) {
    assert!((142..=143).contains(&times.len()), "{}", times.len());
    for (n, time) in times.iter().enumerate() {
        let exact = n as i64 * 1024 * i64::from(FEED_TIMESCALE) / 48_000;
        assert!((time - times[0] - exact).abs() <= 90, "frame {n}: {} and not {exact}", time - times[0]);
    }
}

#[tokio::test]
async fn rtmps_is_rtmp_within_tls() {
    let door = Door::open();
    let url = format!("rtmps://{}/live/{}", door.encrypted, door.keys[1].expose());
    let (code, said) = finished(ffmpeg(&format!("{PICTURE} -t 1 {H264}"), &url)).await;
    assert_eq!(code, Some(0), "{said}");
    let feed = door.packager.until(0, "the end", |heard| heard.finished).await;
    assert_eq!((feed.video, feed.of(FeedTrack::Video).len()), (Some(EVENTS[1]), 25));
}

#[tokio::test]
async fn an_nginx_relays_into_an_event() {
    let module = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
    assert!(std::path::Path::new(module).exists(), "`make tools-test` installs libnginx-mod-rtmp");
    let (door, folder) = (Door::open(), tempfile::tempdir().unwrap());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configuration = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; load_module {module};\n\
         events {{}}\n\
         rtmp {{ server {{ listen 127.0.0.1:{port};\n\
         application in {{ live on; push {url}; }} }} }}\n",
        folder = folder.path().display(),
        url = door.url(),
    );
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut nginx = Command::new("/usr/sbin/nginx");
    nginx.arg("-c").arg(&file).arg("-p").arg(folder.path()).stderr(Stdio::null()).kill_on_drop(true);
    let _nginx = nginx.spawn().unwrap();
    until("nginx to listen", || std::net::TcpStream::connect(("127.0.0.1", port))).await;
    let arguments = format!("-re {PICTURE} -re {TONE} -t 4 {H264} -c:a aac");
    let relayed = ffmpeg(&arguments, &format!("rtmp://127.0.0.1:{port}/in/any"));
    let (code, said) = finished(relayed).await;
    assert_eq!(code, Some(0), "{said}");
    let feed = door.packager.until(0, "the end", |heard| heard.gone).await;
    assert_eq!((feed.video, feed.configs.len()), (Some(EVENTS[0]), 2));
    // It begins where the relay was connected.
    assert!(feed.of(FeedTrack::Video).len() > 50 && feed.span_ms(FeedTrack::Audio) > 2000, "{feed:?}");
    let steps =
        feed.of(FeedTrack::Video).windows(2).map(|pair| pair[1].dts - pair[0].dts).collect::<Vec<_>>();
    assert!(steps.iter().all(|step| *step == 40 * 90), "{steps:?}");
}

#[tokio::test]
async fn enhanced_rtmp_is_spoken() {
    let door = Door::open();
    let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    let mut hvcc = vec![1; 23];
    hvcc[21] = 0x0f;
    publisher.message(VIDEO, 1, 0, &[&b"\x90hvc1"[..], &hvcc].concat()).await;
    // Half a millisecond late, and shown 40 ms later.
    let frame = b"\x97\x02\x07\xa1\x20\x01hvc1\0\0\x28\0\0\0\x02\x26\x01";
    publisher.message(VIDEO, 1, 1000, frame).await;
    let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
    publisher.message(AUDIO, 1, 1000, &[&b"\x90Opus"[..], head].concat()).await;
    publisher.message(AUDIO, 1, 1020, b"\x91Opus\xfc\xff\xfe").await;
    publisher.call(0, "deleteStream", 0.0, &[&[5][..], &crate::publisher::number(1.0)].concat()).await;
    publisher.until("NetStream.Unpublish.Success").await;
    let feed = door.packager.until(0, "the end", |heard| heard.finished).await;
    let configs = [FeedConfig::Hevc { hvcc }, FeedConfig::Opus { head: head.to_vec() }];
    assert_eq!(feed.configs, configs);
    let [picture, sound] = &feed.packets[..] else { panic!("{feed:?}") };
    assert_eq!((picture.dts, picture.cts_offset, picture.key), (1000 * 90 + 45, 40 * 90, true));
    assert_eq!((&picture.data[..], &sound.data[..]), (&b"\0\0\0\x02\x26\x01"[..], &b"\xfc\xff\xfe"[..]));
}

#[tokio::test]
async fn an_encoder_is_offered_what_is_taken() {
    let door = Door::open();
    let mut publisher = Publisher::at(door.address, "live").await;
    publisher.until("NetConnection.Connect.Success").await;
    publisher.until("capsEx").await;
    for app in ["", "vod", "live/again"] {
        let said = Publisher::at(door.address, app).await.hung_up().await;
        assert!(String::from_utf8_lossy(&said).contains("NetConnection.Connect.Rejected"), "{app}");
    }
    for app in ["live/", "live?x=y"] {
        Publisher::at(door.address, app).await.until("NetConnection.Connect.Success").await;
    }
    let mut viewer = Publisher::at(door.address, "live").await;
    viewer.call(0, "createStream", 2.0, &[5]).await;
    viewer.call(1, "play", 3.0, &[&[5][..], &crate::publisher::text(&door.keys[0].expose())].concat()).await;
    viewer.until("NetStream.Play.Failed").await;
    viewer.hung_up().await;
}

#[tokio::test]
async fn a_window_of_nothing_asks_for_nothing() {
    let door = Door::open();
    let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    publisher.message(5, 0, 0, &[0; 4]).await;
    publisher.message(AUDIO, 1, 0, AAC_CONFIG).await;
    for n in 0..50 {
        publisher.message(AUDIO, 1, n * 21, AAC_FRAME).await;
    }
    // A ping is answered behind all that was to be said before.
    publisher.message(4, 0, 0, b"\0\x06ping").await;
    publisher.until("\0\x07ping").await;
    door.packager.until(0, "all frames", |heard| heard.packets.len() == 50).await;
}
