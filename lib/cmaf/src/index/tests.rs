use proptest::prelude::*;

use super::*;

fn rendition(name: &str, chunks: Vec<Vec<(u32, u32)>>) -> RenditionIndex {
    let name: RenditionName = name.parse().unwrap();
    let chunk = |(number, segments): (u32, Vec<(u32, u32)>)| {
        let segments: Vec<SegmentRef> = segments.into_iter().map(SegmentRef::from).collect();
        let media: u64 = segments.iter().map(|segment| u64::from(segment.size_bytes)).sum();
        let hash = ChunkHash::of(&number.to_be_bytes());
        ChunkRef { number, hash, size_bytes: media + 50, index_bytes: 50, segments }
    };
    let chunks: Vec<ChunkRef> = (0..).zip(chunks).map(chunk).collect();
    let kind = if name.is_video() {
        RenditionKind::Video { width: 256, height: 144, frame_rate: Ratio::new(15, 1) }
    } else {
        RenditionKind::Audio { channels: 1, sample_rate: 48_000 }
    };
    RenditionIndex {
        name,
        codecs: if name.is_video() { "avc1.64000b" } else { "mp4a.40.2" }.to_owned(),
        timescale: 10,
        kind,
        bandwidth: Bandwidth::measure(10, chunks.iter().flat_map(|chunk| chunk.segments.clone())),
        init_size: 700,
        init_hash: ChunkHash::of(b"init"),
        chunks,
        changes: Vec::new(),
        breaks: Vec::new(),
    }
}

fn version(renditions: Vec<RenditionIndex>) -> VersionIndex {
    VersionIndex {
        format: 1,
        video: VideoId::from_bits(1),
        version: VersionId::from_bits(2),
        duration_ms: 8000,
        renditions,
    }
}

proptest! {
    #[test]
    fn segments_partition_the_timeline_and_the_bytes(
        chunks in proptest::collection::vec(proptest::collection::vec((1u32.., 1u32..), 1..20), 0..8),
    ) {
        let rendition = rendition("144p", chunks);
        let (mut time, mut bytes, mut number) = (0, 0, 0);
        for (n, located) in (0..).zip(rendition.segments()) {
            if located.chunk.number != number {
                prop_assert_eq!(bytes, rendition.chunks[number as usize].media_bytes());
                (bytes, number) = (0, number + 1);
            }
            prop_assert_eq!((located.start, located.range.start, located.chunk.number), (time, bytes, number));
            prop_assert_eq!(rendition.segment(n), Some(located.clone()));
            time += u64::from(located.duration);
            bytes = located.range.end;
        }
        prop_assert_eq!(time, rendition.duration());
        prop_assert_eq!(rendition.segment(rendition.segment_count()), None);
        prop_assert_eq!(rendition.segments().count(), rendition.segment_count() as usize);
    }
}

#[test]
fn an_index_reads_back_and_skips_what_it_does_not_know() {
    let index =
        version(vec![rendition("a32", vec![vec![(10, 40)]]), rendition("144p", vec![vec![(9, 40); 2]])]);
    assert_eq!(VersionIndex::from_json(&index.to_json()).unwrap(), index);
    let mut json: serde_json::Value = serde_json::from_slice(&index.to_json()).unwrap();
    json["renditions"][1]["captions"] = "later".into();
    json["renditions"][1]["chunks"][0]["scene"] = 7.into();
    json["poster"] = true.into();
    assert_eq!(VersionIndex::from_json(json.to_string().as_bytes()).unwrap(), index);
}

/// Three chunks of two segments, each in another format.
fn of_several() -> VersionIndex {
    let mut picture = rendition("360p", vec![vec![(9, 40); 2]; 3]);
    let change = |segment, codecs: &str, width, height| Change {
        segment,
        codecs: codecs.to_owned(),
        kind: RenditionKind::Video { width, height, frame_rate: Ratio::new(30, 1) },
        init_size: 800,
        init_hash: ChunkHash::of(codecs.as_bytes()),
    };
    picture.changes = vec![change(2, "avc1.640015", 426, 240), change(4, "avc1.64000b", 256, 144)];
    picture.breaks = vec![2, 4];
    let mut sound = rendition("a32", vec![vec![(10, 40); 6]]);
    sound.breaks = vec![2, 4];
    VersionIndex::new(VideoId::from_bits(1), VersionId::from_bits(2), vec![sound, picture])
}

#[test]
fn a_film_of_several_formats_says_so_and_one_of_one_is_as_it_was() {
    let index = of_several();
    assert_eq!((index.format, index.duration_ms), (2, 24_000));
    assert_eq!(VersionIndex::from_json(&index.to_json()).unwrap(), index);
    let picture = &index.renditions[1];
    let formats: Vec<_> =
        picture.formats().map(|it| (it.number, it.segment, it.codecs, it.init_size)).collect();
    let expected = [(0, 0, "avc1.64000b", 700), (1, 2, "avc1.640015", 800), (2, 4, "avc1.64000b", 800)];
    assert_eq!(formats, expected);
    assert_eq!(picture.all_codecs(), "avc1.64000b,avc1.640015");
    let greatest = picture.greatest();
    assert!(matches!(greatest, RenditionKind::Video { width: 426, height: 240, .. }), "{greatest:?}");
    assert_eq!(picture.size_bytes(), 6 * 9 + 700 + 2 * 800);
    let json: serde_json::Value = serde_json::from_slice(&index.to_json()).unwrap();
    let change = &json["renditions"][1]["changes"][0];
    assert_eq!(
        (&change["segment"], &change["kind"], &change["width"]),
        (&2.into(), &"video".into(), &426.into())
    );
    assert_eq!(json["renditions"][0]["breaks"], serde_json::json!([2, 4]));

    let one =
        String::from_utf8(version(vec![rendition("144p", vec![vec![(9, 40)]])]).to_json().to_vec()).unwrap();
    // As the releases before wrote it.
    let expected = concat!(
        r#"{"format":1,"video":"00000000000000000000000001","version":"00000000000000000000000002","#,
        r#""duration_ms":8000,"renditions":[{"name":"144p","codecs":"avc1.64000b","timescale":10,"#,
        r#""kind":"video","width":256,"height":144,"frame_rate":{"num":15,"den":1},"peak_bps":18,"#,
        r#""average_bps":18,"init_size":700,"#,
        r#""init_hash":"b690dd4b190c86e4b4a62928d4094a94af756e9f2998dcc31d9a2ea819274613","#,
        r#""chunks":[{"number":0,"#,
        r#""hash":"ec2bd03bf86b935fa34d71ad7ebb049f1f10f87d343e521511d8f9e6625620cd","#,
        r#""size_bytes":59,"index_bytes":50,"segments":[[9,40]]}]}]}"#,
    );
    assert_eq!(one, expected);
    assert_eq!(VersionIndex::from_json(expected.as_bytes()).unwrap().renditions[0].changes, []);
}

#[test]
fn formats_and_breaks_that_contradict_the_segments_are_refused() {
    type Edit = fn(&mut VersionIndex);
    let cases: [(&str, Edit); 11] = [
        ("the layout of one format", |index| index.format = 1),
        ("a layout from the future", |index| index.format = 3),
        ("a change within a chunk", |index| index.renditions[1].changes[0].segment = 1),
        ("a change at the beginning", |index| index.renditions[1].changes[0].segment = 0),
        ("a change behind the end", |index| index.renditions[1].changes[1].segment = 6),
        ("two changes at once", |index| index.renditions[1].changes[1].segment = 2),
        ("changes out of order", |index| index.renditions[1].changes.reverse()),
        ("a picture that becomes a sound", |index| {
            index.renditions[1].changes[0].kind = index.renditions[0].kind;
        }),
        ("a break at the beginning", |index| index.renditions[0].breaks[0] = 0),
        ("a break behind the end", |index| index.renditions[0].breaks[1] = 6),
        ("a break twice", |index| index.renditions[0].breaks[1] = 2),
    ];
    for (name, edit) in cases {
        let mut index = of_several();
        edit(&mut index);
        assert!(VersionIndex::from_json(&index.to_json()).is_err(), "{name}");
    }
    let mut breaks_only = of_several();
    breaks_only.renditions[1].changes.clear();
    assert!(VersionIndex::from_json(&breaks_only.to_json()).is_ok());
}

#[test]
fn chunks_are_numbered_by_first_segment_or_as_once_by_place() {
    let numbered = |numbers: [u32; 3]| {
        let mut index = version(vec![rendition("144p", vec![vec![(9, 40); 2]; 3])]);
        index.renditions[0].chunks.iter_mut().zip(numbers).for_each(|(chunk, number)| chunk.number = number);
        VersionIndex::from_json(&index.to_json()).is_ok()
    };
    assert!(numbered([0, 2, 4]) && numbered([0, 1, 2]));
    assert!(!numbered([0, 2, 2]) && !numbered([0, 1, 4]) && !numbered([0, 2, 3]) && !numbered([1, 3, 5]));
}

#[test]
fn an_index_that_contradicts_itself_is_refused() {
    let good = || version(vec![rendition("144p", vec![vec![(9, 40); 2], vec![(9, 40)]])]);
    assert!(VersionIndex::from_json(&good().to_json()).is_ok());
    type Edit = fn(&mut VersionIndex);
    let cases: [(&str, Edit); 7] = [
        ("another format", |index| index.format = 2),
        ("no timescale", |index| index.renditions[0].timescale = 0),
        ("a rendition twice", |index| index.renditions.push(index.renditions[0].clone())),
        ("chunk numbers", |index| index.renditions[0].chunks[1].number = 7),
        ("an empty chunk", |index| index.renditions[0].chunks[1].segments.clear()),
        ("sizes", |index| index.renditions[0].chunks[1].size_bytes += 1),
        ("kind", |index| index.renditions[0].name = RenditionName::Audio { kbps: 32 }),
    ];
    for (name, edit) in cases {
        let mut index = good();
        edit(&mut index);
        assert!(VersionIndex::from_json(&index.to_json()).is_err(), "{name}");
    }
    assert!(VersionIndex::from_json(b"{}").is_err());
}

#[test]
fn a_picture_is_measured_with_its_sound() {
    let sound = |name, size| rendition(name, vec![vec![(size, 40)]]);
    let index = version(vec![sound("144p", 1000), sound("480p", 9000), sound("a64", 400), sound("a32", 200)]);
    let name = |text: &str| text.parse::<RenditionName>().unwrap();
    let bandwidth = |text| index.variant_bandwidth(index.rendition(name(text)).unwrap()).peak_bps;
    assert_eq!((bandwidth("144p"), bandwidth("480p")), (2400, 18_800));
    assert_eq!(index.videos().map(|video| video.name).collect::<Vec<_>>(), [name("144p"), name("480p")]);
    assert_eq!(index.audios().map(|audio| audio.name).collect::<Vec<_>>(), [name("a32"), name("a64")]);
}

#[test]
fn rates_that_are_too_great_stay_the_greatest() {
    let mut index =
        version(vec![rendition("a32", vec![vec![(10, 40)]]), rendition("144p", vec![vec![(9, 40)]])]);
    let greatest = Bandwidth { peak_bps: u64::MAX, average_bps: u64::MAX };
    index.renditions[1].bandwidth = greatest;
    let index = VersionIndex::from_json(&index.to_json()).unwrap();
    assert_eq!(index.variant_bandwidth(&index.renditions[1]), greatest);
    // Four gibibytes in the smallest of moments.
    let segment = SegmentRef { size_bytes: u32::MAX, duration: 1 };
    assert_eq!(Bandwidth::measure(u32::MAX, [segment]), greatest);
}
