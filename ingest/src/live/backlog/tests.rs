use bytes::Bytes;

use super::*;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn config(number: u8) -> Item {
    Item::Config(FeedConfig::H264 { avcc: vec![number] })
}

/// A packet that is named by its time.
fn packet(track: FeedTrack, dts: i64, key: bool, bytes: usize) -> Item {
    Item::Packet(Packet { track, dts, cts_offset: 0, key, data: Bytes::from(vec![0; bytes]) })
}

fn picture(dts: i64, key: bool) -> Item {
    packet(FeedTrack::Video, dts, key, 10)
}

fn sound(dts: i64) -> Item {
    packet(FeedTrack::Audio, dts, true, 1)
}

/// The times of what is still to be sent.
fn rest(backlog: &mut Backlog) -> Vec<i64> {
    let mut times = Vec::new();
    while let Some(item) = backlog.next() {
        if let Item::Packet(packet) = item {
            times.push(packet.dts);
        }
    }
    times
}

/// What a packager that begins anew is sent.
fn again(backlog: &mut Backlog) -> (Vec<FeedConfig>, Vec<i64>) {
    backlog.rewind();
    let configs = backlog.configs().cloned().collect();
    (configs, rest(backlog))
}

#[test]
fn what_was_sent_is_kept_since_the_last_key_frame() {
    let mut backlog = Backlog::default();
    backlog.push(config(1), at(0));
    for n in 0..25 {
        backlog.push(picture(n, n % 10 == 0), at(n as u64 * 40));
        backlog.push(sound(n), at(n as u64 * 40));
        assert_eq!(rest(&mut backlog), [n, n]);
    }
    let kept: Vec<_> = (20..25).flat_map(|n| [n, n]).collect();
    let configs = vec![FeedConfig::H264 { avcc: vec![1] }];
    assert_eq!(again(&mut backlog), (configs.clone(), kept.clone()));
    // A new configuration holds from its place on.
    backlog.push(config(2), at(1000));
    backlog.push(picture(25, true), at(1000));
    assert_eq!(rest(&mut backlog), [25]);
    backlog.push(picture(26, false), at(1040));
    assert_eq!(again(&mut backlog), (vec![FeedConfig::H264 { avcc: vec![2] }], vec![25, 26]));
    assert_eq!(backlog.take_dropped(), 0);
}

#[test]
fn sound_alone_is_kept_for_seconds() {
    let mut backlog = Backlog::default();
    for n in 0..100 {
        backlog.push(sound(n), at(n as u64 * 100));
        assert_eq!(rest(&mut backlog), [n]);
    }
    assert_eq!(again(&mut backlog).1, (59..100).collect::<Vec<_>>());
    assert_eq!(backlog.take_dropped(), 0);
}

#[test]
fn who_is_too_far_behind_goes_on_at_the_last_key_frame() {
    let mut backlog = Backlog::default();
    // Two seconds from key frame to key frame, and a packager that takes nothing.
    for n in 0..111 {
        backlog.push(picture(n, n % 50 == 0), at(n as u64 * 40));
    }
    assert_eq!(rest(&mut backlog), (100..111).collect::<Vec<_>>());
    assert_eq!(backlog.take_dropped(), 100);
}

#[test]
fn without_a_key_frame_to_go_on_at_the_next_one_is_waited_for() {
    let mut backlog = Backlog::default();
    for n in 0..400 {
        backlog.push(picture(n, n == 0), at(n as u64 * 40));
        backlog.push(sound(n), at(n as u64 * 40));
    }
    let waiting = rest(&mut backlog);
    assert!(
        waiting.windows(2).all(|pair| pair[0] + 1 == pair[1]) && waiting.last() == Some(&399),
        "sound only"
    );
    assert!(backlog.needs_key && backlog.bytes <= MAX_BYTES);
    backlog.push(picture(400, false), at(16_000));
    assert!(rest(&mut backlog).is_empty());
    backlog.push(picture(401, true), at(16_040));
    assert_eq!(rest(&mut backlog), [401]);
}

#[test]
fn bytes_are_bounded_whatever_comes() {
    let mut backlog = Backlog::default();
    let large = |n: i64, key| packet(FeedTrack::Video, n, key, 5 << 20);
    for n in 0..20 {
        backlog.push(large(n, n == 0), at(0));
        assert!(backlog.bytes <= MAX_BYTES, "{}", backlog.bytes);
    }
    assert_eq!((rest(&mut backlog), backlog.take_dropped()), (vec![], 20));
    // One group of pictures that is sent and too large to be kept.
    let mut backlog = Backlog::default();
    for n in 0..6 {
        backlog.push(large(n, n == 0), at(0));
        assert_eq!(rest(&mut backlog), [n]);
        assert!(backlog.bytes <= MAX_BYTES);
    }
    assert!(again(&mut backlog).1.is_empty(), "there is nothing that could be decoded");
    backlog.push(large(6, false), at(0));
    backlog.push(large(7, true), at(0));
    assert_eq!(rest(&mut backlog), [7]);
}

#[test]
fn the_numbers_add_up_whatever_happens() {
    let mut backlog = Backlog::default();
    let mut state = 7u64;
    let mut next = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % limit
    };
    let mut now = 0;
    for n in 0..200_000 {
        now += next(60);
        match next(20) {
            0 => backlog.push(config(next(3) as u8), at(now)),
            1 if next(10) == 0 => backlog.rewind(),
            2..=9 => {
                let item = packet(FeedTrack::Video, n, next(40) == 0, next(1 << 18) as usize);
                backlog.push(item, at(now));
            }
            10..=14 => backlog.push(sound(n), at(now)),
            _ => {
                for _ in 0..next(6) {
                    backlog.next();
                }
            }
        }
        let is_packet = |item: &Item| match item {
            Item::Packet(packet) => packet.data.len(),
            Item::Config(_) | Item::Others(_) => 0,
        };
        assert_eq!(backlog.bytes, backlog.items.iter().map(|(_, item)| is_packet(item)).sum::<usize>());
        assert_eq!(backlog.key, backlog.items.iter().rposition(|(_, item)| is_key(item)));
        assert!(backlog.bytes <= MAX_BYTES && backlog.sent <= backlog.items.len());
    }
}
