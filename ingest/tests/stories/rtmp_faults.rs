//! What goes wrong at the door for RTMP, on either side of it.

use std::time::Duration;

use ingest::live::{Denied, FeedLimits};
use model::LetGo;
use model::feed::{FeedOver, FeedTrack};

use crate::publisher::{
    AAC_CONFIG, AAC_FRAME, AUDIO, AVC_CONFIG, AVC_KEY, COMMAND, Publisher, VIDEO, chunks, handshake,
};
use crate::rtmp_door::{Door, H264, PICTURE, TONE, ffmpeg, finished, logged, until};

#[tokio::test]
async fn a_wrong_key_is_refused_in_words() {
    let door = Door::open();
    let wrong = "00000000000000000000000000";
    let (code, said) = finished(ffmpeg(&format!("{PICTURE} -t 60 {H264}"), &door.url_of(wrong))).await;
    assert!(code != Some(0) && said.contains("No event has this stream key."), "{code:?} {said}");
    for key in ["", "live", wrong, &door.keys[0].expose()[1..]] {
        let said = Publisher::with_key(door.address, key).await.hung_up().await;
        assert!(String::from_utf8_lossy(&said).contains("NetStream.Publish.BadName"), "{key}");
    }
    door.until_ended("wrong_key", 5).await;
    assert!(door.packager.heard().is_empty());
    // With a few words behind it, as some services want it, the right one is right.
    let key = format!("{}?nonce=1", door.keys[0].expose());
    Publisher::publishing(door.address, &key).await;
}

#[tokio::test]
async fn a_key_that_cannot_be_checked_is_refused_for_now() {
    let door = Door::open();
    let key = door.keys[0].expose();
    for (denied, words) in [
        (Denied::Ended, "is over"),
        (Denied::TooOften, "Several programs publish"),
        (Denied::Unavailable, "try again"),
    ] {
        *door.events.answer.lock().unwrap() = Some(denied);
        let mut publisher = Publisher::with_key(door.address, &key).await;
        publisher.until("NetStream.Publish.Denied").await;
        publisher.until(words).await;
        publisher.hung_up().await;
    }
    *door.events.is_stuck.lock().unwrap() = true;
    let mut publisher = Publisher::with_key(door.address, &key).await;
    publisher.until("The stream key cannot be checked now").await;
    publisher.hung_up().await;
    door.until_ended("unavailable", 2).await;
}

#[tokio::test]
async fn guesses_come_to_an_end() {
    let door = Door::open();
    for _ in 0..61 {
        Publisher::with_key(door.address, "guess").await.hung_up().await;
    }
    let mut publisher = Publisher::with_key(door.address, &door.keys[0].expose()).await;
    publisher.until("Too many wrong stream keys").await;
    door.until_ended("too_many_tries", 1).await;
}

#[tokio::test]
async fn a_network_that_is_exempt_guesses_on() {
    let door = Door::exempting(&["192.0.2.0/24", "127.0.0.0/8"]);
    for _ in 0..61 {
        Publisher::with_key(door.address, "guess").await.hung_up().await;
    }
    let (code, said) = finished(ffmpeg(&format!("{PICTURE} -t 1 {H264}"), &door.url())).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((door.ended("wrong_key"), door.ended("too_many_tries")), (61, 0));
}

#[tokio::test]
async fn the_newest_publisher_wins() {
    let door = Door::open();
    let arguments = format!("-re {PICTURE} -t 60 {H264}");
    let first = ffmpeg(&arguments, &door.url());
    door.packager.until(0, "pictures", |heard| !heard.packets.is_empty()).await;
    let second = ffmpeg(&arguments, &door.url());
    let (code, said) = finished(first).await;
    assert!(code != Some(0) && said.contains("Another program publishes with this stream key"), "{said}");
    let feed = door.packager.until(0, "its end", |heard| heard.gone).await;
    assert!(!feed.finished, "the publisher did not say so");
    let feed = door.packager.until(1, "pictures of the second", |heard| !heard.packets.is_empty()).await;
    assert_eq!(feed.generation, 2);
    assert_eq!(door.counted("cocuyo_live_publishers"), 1);
    drop(second);
}

#[tokio::test]
async fn whoever_may_not_publish_any_more_is_put_off() {
    let door = Door::open();
    let mut publishers = Vec::new();
    for key in &door.keys {
        publishers.push(Publisher::publishing(door.address, &key.expose()).await);
    }
    // As when its key is replaced.
    *door.events.over_before.lock().unwrap() = 2;
    let [first, second] = &mut publishers[..] else { unreachable!() };
    first.until("The stream key was replaced").await;
    until("whoever has gone to be told", || {
        let left = door.events.left.lock().unwrap().clone();
        if left == [1] { Ok(()) } else { Err(left) }
    })
    .await;
    second.message(AUDIO, 1, 0, AAC_CONFIG).await;
    second.message(AUDIO, 1, 0, AAC_FRAME).await;
    door.packager.until(0, "the other one", |heard| heard.packets.len() == 1).await;
}

#[tokio::test]
async fn a_publisher_that_is_killed_leaves_nothing_behind() {
    let door = Door::open();
    let mut killed = ffmpeg(&format!("-re {PICTURE} -t 60 {H264}"), &door.url());
    door.packager.until(0, "pictures", |heard| heard.packets.len() > 10).await;
    killed.kill().await.unwrap();
    let feed = door.packager.until(0, "its end", |heard| heard.gone).await;
    assert!(!feed.finished);
    door.until_counted("cocuyo_live_publishers", 0).await;
    Publisher::publishing(door.address, &door.keys[0].expose()).await;
}

#[tokio::test]
async fn a_packager_that_comes_back_is_told_all_since_the_last_key_frame() {
    let mut door = Door::open();
    let arguments = format!("-re {PICTURE} -re {TONE} -t 6 {H264} -c:a aac");
    let publisher = ffmpeg(&arguments, &door.url());
    door.packager.until(0, "a second of it", |heard| heard.of(FeedTrack::Video).len() >= 35).await;
    door.packager.kill().await;
    let before = door.packager.heard().remove(0);
    // For a while nobody is there.
    let received = || door.counted("cocuyo_live_received_bytes_total");
    let enough = received() + 50_000;
    until("more to come", || if received() > enough { Ok(()) } else { Err(received()) }).await;
    door.packager.start();
    let (code, said) = finished(publisher).await;
    assert_eq!(code, Some(0), "{said}");
    let after = door.packager.until(1, "the end", |heard| heard.finished).await;
    assert_eq!((after.generation, &after.configs), (before.generation, &before.configs));
    let (old, new) = (before.of(FeedTrack::Video), after.of(FeedTrack::Video));
    assert!(new[0].key && old.iter().any(|packet| packet.dts == new[0].dts), "from a key frame that it had");
    assert!(new.windows(2).all(|pair| pair[1].dts - pair[0].dts == 40 * 90), "and nothing is missing");
    assert_eq!((new[new.len() - 1].dts - old[0].dts) / (40 * 90), 149);
    assert_eq!(door.counted("cocuyo_live_packets_dropped_total"), 0);
    assert_eq!(door.counted("cocuyo_live_feeds_resumed_total"), 1);
}

#[tokio::test]
async fn a_packager_that_stays_away_costs_pictures_and_no_memory() {
    let mut door = Door::open();
    door.packager.kill().await;
    let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    publisher.message(VIDEO, 1, 0, AVC_CONFIG).await;
    // Key frames of 1 MiB.
    let frame = |n: u8| {
        let mut frame = vec![0x17, 1, 0, 0, 0, 0, 0x10, 0, 0];
        frame.resize((1 << 20) + 9, n);
        frame
    };
    for n in 0..40 {
        publisher.message(VIDEO, 1, u32::from(n) * 40, &frame(n)).await;
    }
    publisher.message(4, 0, 0, b"\0\x06ping").await;
    publisher.until("\0\x07ping").await;
    door.packager.start();
    let feed = door.packager.until(0, "the last picture", |heard| {
        heard.packets.last().is_some_and(|packet| packet.data.ends_with(&[39]))
    });
    let kept = feed.await.packets.len();
    assert!((1..=16).contains(&kept), "{kept}");
    let dropped = door.counted("cocuyo_live_packets_dropped_total");
    assert_eq!(dropped + kept as u64, 40);
}

#[tokio::test]
async fn the_packager_has_the_last_word() {
    let door = Door::open();
    for (over, words, reason) in [
        (FeedOver::EventEnded, "The event has been ended.", "event_ended"),
        (FeedOver::Superseded, "Another program publishes", "overtaken"),
        (FeedOver::Unsupported, "cannot be packaged", "unsupported"),
        (FeedOver::TooMuch, "More is sent", "over_limit"),
        (FeedOver::TooLarge, "more than 1080 pixels: lower the resolution", "over_limit"),
        (FeedOver::Malformed, "contradicts itself", "malformed"),
    ] {
        door.packager.answer(over);
        let (code, said) = finished(ffmpeg(&format!("-re {PICTURE} -t 60 {H264}"), &door.url())).await;
        assert!(code != Some(0) && said.contains(words), "{said}");
        door.until_ended(reason, 1).await;
    }
}

#[tokio::test]
async fn a_codec_that_is_not_taken_is_named() {
    let door = Door::open();
    for (arguments, words) in [
        (format!("{PICTURE} -t 60 -c:v flv"), "Sorenson H.263 is not supported"),
        (format!("{TONE} -t 60 -ar 44100 -c:a libmp3lame"), "MP3 audio is not supported"),
    ] {
        let (code, said) = finished(ffmpeg(&arguments, &door.url())).await;
        assert!(code != Some(0) && said.contains(words), "{said}");
    }
    let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    publisher.message(VIDEO, 1, 0, b"\x90vp09....").await;
    publisher.until("codec `vp09` is not supported").await;
    door.until_ended("unsupported", 3).await;
}

#[tokio::test]
async fn limits_are_kept_to() {
    let door = Door::open();
    *door.events.limits.lock().unwrap() = FeedLimits { bits_per_s: 16_000, short_side: 1080, duration: None };
    let (code, said) = finished(ffmpeg(&format!("{PICTURE} -t 60 {H264}"), &door.url())).await;
    assert!(code != Some(0) && said.contains("More than 16 kbit/s"), "{said}");
    door.until_ended("over_limit", 1).await;
    assert_eq!(*door.events.let_go.lock().unwrap(), Some(LetGo::TooFast));
    let duration = Some(Duration::from_secs(1));
    *door.events.limits.lock().unwrap() = FeedLimits { bits_per_s: 1 << 40, short_side: 1080, duration };
    let (code, said) = finished(ffmpeg(&format!("-re {PICTURE} -t 60 {H264}"), &door.url())).await;
    assert!(code != Some(0) && said.contains("as long as it may be"), "{said}");
    door.until_ended("over_limit", 2).await;
    assert_eq!(*door.events.let_go.lock().unwrap(), Some(LetGo::TooLong));
}

#[tokio::test]
async fn who_says_nothing_is_let_go() {
    let door = Door::open();
    let silent = Publisher::connect(door.address).await;
    let mut slow = Publisher::connect(door.address).await;
    let (begun, rest) = (handshake(), handshake());
    slow.send(&begun[..100]).await;
    let mut shaken = Publisher::connect(door.address).await;
    shaken.send(&rest).await;
    let mut idle = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    // Words are not media.
    idle.message(4, 0, 0, b"\0\x06ping").await;
    idle.until("Neither sound nor picture came").await;
    idle.hung_up().await;
    for publisher in [silent, slow, shaken] {
        publisher.hung_up().await;
    }
    door.until_ended("slow", 3).await;
    door.until_ended("idle", 1).await;
}

#[tokio::test]
async fn who_goes_away_in_the_handshake_is_forgotten() {
    let door = Door::open();
    for bytes in [0, 1, 700, 1537, 3072] {
        let mut publisher = Publisher::connect(door.address).await;
        publisher.send(&handshake()[..bytes]).await;
        drop(publisher);
    }
    until("all to be forgotten", || {
        let (gone, broken) = (door.ended("gone"), door.ended("broken"));
        if gone + broken == 5 { Ok(()) } else { Err((gone, broken)) }
    })
    .await;
}

#[tokio::test]
async fn hostile_bytes_cost_their_sender_the_connection() {
    let door = Door::open();
    let command = |payload: &[u8]| chunks(COMMAND, 0, 0, payload);
    let nested = [&b"\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0"[..], &b"\x03\0\x01a".repeat(10_000)].concat();
    let streams: Vec<u8> = (0..=255u8)
        .flat_map(|id| [vec![0, id, 0, 0, 0, 0, 255, 255, 9, 1, 0, 0, 0], vec![1; 128]].concat())
        .collect();
    let mut noise = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    })
    .take(100_000)
    .collect();
    let hostile = [
        ("another version", b"\x06".to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("chunks of nothing", [handshake(), chunks(1, 0, 0, &[0; 4])].concat()),
        ("chunks of a byte", [handshake(), chunks(1, 0, 0, &[0, 0, 0, 1])].concat()),
        ("chunks of 2 GiB", [handshake(), chunks(1, 0, 0, &[0x80, 0, 0, 0])].concat()),
        ("a message of 16 MiB", [handshake(), b"\x04\0\0\0\xff\xff\xff\x09\x01\0\0\0".to_vec()].concat()),
        ("chunk streams without end", [handshake(), streams].concat()),
        ("objects within objects", [handshake(), command(&nested)].concat()),
        ("half a value", [handshake(), command(b"\x02\0\x07conn")].concat()),
        (
            "a command too early",
            [handshake(), command(b"\x02\0\x07publish\0\x3f\xf0\0\0\0\0\0\0\x05")].concat(),
        ),
        ("noise", [handshake(), noise].concat()),
    ];
    let times = hostile.len();
    for (what, bytes) in hostile {
        let mut publisher = Publisher::connect(door.address).await;
        publisher.send(&bytes).await;
        let said = publisher.hung_up().await;
        assert!(said.is_empty() || said.len() == 3073, "{what}: {} bytes were said", said.len());
    }
    for body in
        [&b"\x17\0\0\0\0\x02"[..], b"\x17", b"\x90hv", b"\x97\xff\xff\xff", b"\x96\x30hvc1", b"\x95hvc1"]
    {
        let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
        publisher.message(VIDEO, 1, 0, body).await;
        publisher.hung_up().await;
    }
    let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    publisher.message(VIDEO, 1, 0, AVC_CONFIG).await;
    publisher.message(VIDEO, 1, 0, b"\x17\x01\0\0\0\xff\xff\xff\xff\x65").await;
    publisher.hung_up().await;
    until("all to be counted", || {
        let counted = door.ended("malformed") + door.ended("too_much");
        if counted == times as u64 + 7 { Ok(()) } else { Err(counted) }
    })
    .await;
    let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    publisher.message(VIDEO, 1, 0, AVC_CONFIG).await;
    publisher.message(VIDEO, 1, 0, AVC_KEY).await;
    until("somebody else's picture", || {
        let heard = door.packager.heard();
        heard.iter().any(|heard| heard.packets.len() == 1).then_some(()).ok_or(heard.len())
    })
    .await;
}

#[tokio::test]
async fn a_door_that_is_closed_ends_no_event() {
    let door = Door::open();
    let mut publisher = Publisher::publishing(door.address, &door.keys[0].expose()).await;
    publisher.message(VIDEO, 1, 0, AVC_CONFIG).await;
    publisher.message(VIDEO, 1, 0, AVC_KEY).await;
    door.packager.until(0, "a picture", |heard| heard.packets.len() == 1).await;
    door.stop.cancel();
    publisher.until("NetConnection.Connect.ReconnectRequest").await;
    publisher.hung_up().await;
    let feed = door.packager.until(0, "the end of the connection", |heard| heard.gone).await;
    assert!(!feed.finished);
}

#[tokio::test]
async fn no_key_is_ever_logged() {
    let door = Door::open();
    let (right, wrong) = (door.keys[0].expose(), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
    let (code, _) = finished(ffmpeg(&format!("{PICTURE} -t 1 {H264}"), &door.url())).await;
    assert_eq!(code, Some(0));
    Publisher::with_key(door.address, wrong).await.hung_up().await;
    let mut publisher = Publisher::at(door.address, &format!("live/{right}")).await;
    publisher.until("Rejected").await;
    let mut publisher = Publisher::publishing(door.address, &right).await;
    publisher.message(VIDEO, 1, 0, b"\x02").await;
    publisher.hung_up().await;
    let log = until("all of it to be logged", || {
        let log = logged();
        (log.contains("publishes into event") && log.contains("wrong_key")).then(|| log.clone()).ok_or(log)
    })
    .await;
    assert!(!log.contains(&right) && !log.contains(wrong), "{log}");
}
