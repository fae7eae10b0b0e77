//! What other people's programs make of our boxes: a clip that Debian's `ffmpeg` encoded is cut
//! into segments and chunks, and then read back by `ffmpeg`, by `ffprobe` and by `shiguredo_mp4`,
//! as a fragmented stream and as a virtual MP4.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;

use crate::{
    AudioConfig, AudioTrack, Bandwidth, ChunkIndex, ChunkRef, ChunkWriter, Opus, Piece, RenditionIndex,
    RenditionKind, Sample, Track, VersionIndex, VideoConfig, VideoTrack, VirtualMp4, VirtualTrack,
    init_segment, media_segment, read_chunk_index, read_init,
};
use model::cell::Ratio;
use model::{ChunkHash, RenditionName, VersionId, VideoId};
use shiguredo_mp4::TrackKind;
use shiguredo_mp4::boxes::{DopsBox, SampleEntry, VisualSampleEntryFields};
use shiguredo_mp4::demux::{Fmp4SegmentDemuxer, Input, Mp4FileDemuxer};

/// A sample and its bytes.
type Packet = (Sample, Vec<u8>);

/// One rendition with everything that would be in the bucket.
struct Stored {
    index: RenditionIndex,
    inits: [Bytes; 1],
    objects: Vec<Vec<u8>>,
    chunk_indexes: Vec<ChunkIndex>,
}

impl Stored {
    /// The initialisation segment and the whole chunks behind it.
    fn stream(&self) -> Vec<u8> {
        [&self.inits[0][..]]
            .into_iter()
            .chain(self.objects.iter().map(|object| &object[..]))
            .collect::<Vec<_>>()
            .concat()
    }

    fn track(&self) -> VirtualTrack<'_> {
        VirtualTrack { rendition: &self.index, inits: &self.inits, chunks: &self.chunk_indexes }
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("ffmpeg is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    assert_eq!(errors, "", "{program} {arguments:?} has nothing to complain about");
    String::from_utf8(output.stdout).unwrap()
}

const AVC_AAC: &str = "-c:v libx264 -preset veryfast -bf 2 -keyint_min 50 -sc_threshold 0 -threads 1 \
    -c:a aac -b:a 48k";
const HEVC_AAC: &str = "-c:v libx265 -preset ultrafast -tag:v hvc1 \
    -x265-params log-level=error:bframes=2:min-keyint=50:scenecut=0:open-gop=0 -c:a aac -b:a 48k";
const AV1_OPUS: &str = "-c:v libaom-av1 -cpu-used 8 -usage realtime -c:a libopus -b:a 48k";

/// Six seconds in closed GOPs of 2 s, with B-frames where there are some; sound of one channel.
fn encode(folder: &Path, codecs: &str) -> Vec<u8> {
    let path = folder.join("source.mp4");
    let arguments = format!(
        "-v error -y -f lavfi -i testsrc2=size=160x90:rate=25:duration=6 \
        -f lavfi -i sine=frequency=440:sample_rate=48000:duration=6 {codecs} -pix_fmt yuv420p -g 50 \
        -ac 1 -bitexact -movflags +negative_cts_offsets"
    );
    let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
    arguments.push(path.to_str().unwrap());
    run("ffmpeg", &arguments);
    std::fs::read(path).unwrap()
}

/// The two tracks of a plain MP4, by the second reader.
fn demux(file: &[u8]) -> [(Track, Vec<Packet>); 2] {
    let mut demuxer = Mp4FileDemuxer::new();
    demuxer.handle_input(Input { position: 0, data: file });
    demuxer.tracks().unwrap();
    let (mut video, mut audio) = (None, None);
    while let Some(sample) = demuxer.next_sample().unwrap() {
        let slot = if sample.track.kind == TrackKind::Video { &mut video } else { &mut audio };
        if let Some(entry) = sample.sample_entry {
            *slot = Some((track(entry, sample.track.timescale.get()), Vec::new()));
        }
        let (_, packets) = slot.as_mut().unwrap();
        let start = sample.data_offset as usize;
        let bytes = file[start..start + sample.data_size].to_vec();
        packets.push((
            Sample {
                size: bytes.len() as u32,
                duration: sample.duration,
                cts_offset: sample.composition_time_offset.unwrap_or(0) as i32,
                sync: sample.keyframe,
            },
            bytes,
        ));
    }
    [video.unwrap(), audio.unwrap()]
}

fn track(entry: &SampleEntry, timescale: u32) -> Track {
    let video = |visual: &VisualSampleEntryFields, config| {
        let (width, height) = (visual.width, visual.height);
        Track::Video(VideoTrack { width, height, timescale, config, colour: None })
    };
    let audio =
        |config, priming| Track::Audio(AudioTrack { channels: 1, sample_rate: timescale, config, priming });
    match entry {
        SampleEntry::Avc1(avc1) => video(&avc1.visual, VideoConfig::Avc(body(&avc1.avcc_box))),
        SampleEntry::Hvc1(hvc1) => video(&hvc1.visual, VideoConfig::Hevc(body(&hvc1.hvcc_box))),
        SampleEntry::Av01(av01) => video(&av01.visual, VideoConfig::Av1(body(&av01.av1c_box))),
        SampleEntry::Mp4a(mp4a) => {
            let asc = mp4a.esds_box.es.dec_config_descr.dec_specific_info.clone().unwrap().payload;
            audio(AudioConfig::Aac(asc), 1024)
        }
        SampleEntry::Opus(opus) => {
            let DopsBox { output_channel_count, pre_skip, input_sample_rate, output_gain } = opus.dops_box;
            let channels = output_channel_count.into();
            let opus = Opus { channels, pre_skip, input_sample_rate, output_gain };
            audio(AudioConfig::Opus(opus), pre_skip.into())
        }
        other => panic!("an encode of ours has no {other:?}"),
    }
}

/// What is in a box.
fn body(of: &impl shiguredo_mp4::Encode) -> Vec<u8> {
    of.encode_to_vec().unwrap()[8..].to_vec()
}

/// Cuts packets into segments of `target` ticks where decoding can start, two to a chunk.
fn store(name: &str, track: &Track, packets: &[Packet], target: u64) -> Stored {
    let init = init_segment(track).unwrap();
    assert_eq!(&read_init(&init).unwrap(), track);
    let mut segments: Vec<Vec<&Packet>> = Vec::new();
    let mut time = 0;
    for packet in packets {
        if packet.0.sync && time >= segments.len() as u64 * target {
            segments.push(Vec::new());
        }
        segments.last_mut().unwrap().push(packet);
        time += u64::from(packet.0.duration);
    }
    let (mut objects, mut chunks, mut chunk_indexes): (Vec<Vec<u8>>, Vec<ChunkRef>, Vec<ChunkIndex>) =
        Default::default();
    let (mut sequence, mut start) = (0, 0);
    for (number, pair) in segments.chunks(2).enumerate() {
        let mut object = Vec::new();
        let mut writer = ChunkWriter::new(number as u32, start);
        for packets in pair {
            let samples: Vec<Sample> = packets.iter().map(|packet| packet.0).collect();
            let payload: Vec<u8> = packets.iter().flat_map(|packet| packet.1.clone()).collect();
            sequence += 1;
            let segment = media_segment(sequence, writer.end(), &samples, &payload).unwrap();
            writer.push(&segment).unwrap();
            object.extend_from_slice(&segment);
        }
        let finished = writer.finish();
        start = finished.end;
        object.extend_from_slice(&finished.tail);
        assert_eq!(finished.chunk.hash, ChunkHash::of(&object), "the hash is of the object's bytes");
        chunk_indexes.push(read_chunk_index(&object).unwrap());
        chunks.push(finished.chunk);
        objects.push(object);
    }
    let kind = match track {
        Track::Video(video) => {
            RenditionKind::Video { width: video.width, height: video.height, frame_rate: Ratio::new(25, 1) }
        }
        Track::Audio(audio) => {
            RenditionKind::Audio { channels: audio.channels, sample_rate: audio.sample_rate }
        }
    };
    let all = chunks.iter().flat_map(|chunk| chunk.segments.clone());
    let index = RenditionIndex {
        name: name.parse().unwrap(),
        codecs: track.codecs().unwrap(),
        timescale: track.timescale(),
        kind,
        bandwidth: Bandwidth::measure(track.timescale(), all),
        init_size: init.len() as u32,
        init_hash: ChunkHash::of(&init),
        chunks,
        changes: Vec::new(),
        breaks: Vec::new(),
    };
    Stored { index, inits: [init], objects, chunk_indexes }
}

/// Reads `range` of the virtual file as an edge does: piece by piece.
fn read(file: &VirtualMp4, stored: &[&Stored], range: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in file.pieces(range) {
        match piece {
            Piece::Head(range) => bytes.extend_from_slice(&file.head()[range]),
            Piece::Object { rendition, number, hash, range } => {
                let stored = stored.iter().find(|stored| stored.index.name == rendition).unwrap();
                assert_eq!(stored.index.chunks[number as usize].hash, hash);
                let object = &stored.objects[number as usize];
                bytes.extend_from_slice(&object[range.start as usize..range.end as usize]);
            }
        }
    }
    bytes
}

/// What `framemd5` prints for a stream behind its first `skip` lines: decode and presentation time
/// counted from there, size and checksum of what is decoded, or with `-c copy` of what is
/// stored.
fn lines(path: &Path, stream: &str, how: &[&str], skip: usize) -> Vec<String> {
    let input = ["-v", "error", "-copyts", "-i", path.to_str().unwrap(), "-map", stream, "-bitexact"];
    let text = run("ffmpeg", &[&input[..], how, &["-f", "framemd5", "-"]].concat());
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(skip);
    let fields = lines.map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let mut first = None;
    fields
        .map(|fields| {
            let [decode, present]: [i64; 2] = [1, 2].map(|n: usize| fields[n].parse().unwrap());
            let start = *first.get_or_insert(present);
            format!("{} {} {}", decode - start, present - start, fields[4..6].join(" "))
        })
        .collect()
}

/// Says where two lists of lines part, instead of both whole.
fn same(found: &[String], expected: &[String], what: &str) {
    let differing = found.iter().zip(expected).find(|(found, expected)| found != expected);
    assert_eq!(differing, None, "{what}");
    assert_eq!(found.len(), expected.len(), "{what}");
}

#[test]
fn others_read_what_we_write() {
    read_back(AVC_AAC, ["avc1.64000b", "mp4a.40.2"], ["h264", "aac"]);
}

#[test]
fn others_read_hevc() {
    read_back(HEVC_AAC, ["hvc1.1.6.L30.90", "mp4a.40.2"], ["hevc", "aac"]);
}

#[test]
fn others_read_av1_and_opus() {
    read_back(AV1_OPUS, ["av01.0.00M.08", "opus"], ["av1", "opus"]);
}

fn read_back(encoders: &str, codecs: [&str; 2], names: [&str; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let source = encode(folder.path(), encoders);
    let [(video_track, video_packets), (audio_track, audio_packets)] = demux(&source);
    let video = store("90p", &video_track, &video_packets, 2 * u64::from(video_track.timescale()));
    let audio = store("a48", &audio_track, &audio_packets, 2 * 48_000);
    // The priming makes the sound longer: it has a segment that no picture goes with.
    assert_eq!((video.index.segment_count(), audio.index.segment_count()), (3, 4));
    assert_eq!([video.index.codecs.as_str(), audio.index.codecs.as_str()], codecs);
    let Track::Video(VideoTrack { config, .. }) = &video_track else { panic!("a picture") };
    assert_eq!(config.size().unwrap(), (160, 90));

    let version = VersionIndex {
        format: VersionIndex::FORMAT,
        video: VideoId::from_bits(1),
        version: VersionId::from_bits(2),
        duration_ms: 6000,
        renditions: vec![audio.index.clone(), video.index.clone()],
    };
    assert_eq!(VersionIndex::from_json(&version.to_json()).unwrap(), version);

    let tracks = [video.track(), audio.track()];
    let file = VirtualMp4::build(&tracks).unwrap();
    let stored = [&video, &audio];
    let whole = read(&file, &stored, 0..file.len());
    assert_eq!(whole.len() as u64, file.len());

    let path = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let original = folder.path().join("source.mp4");
    let plain = path("virtual.mp4", &whole);
    let fragmented = [path("video.mp4", &video.stream()), path("audio.mp4", &audio.stream())];
    for (stream, fragmented) in ["0:v", "0:a"].into_iter().zip(&fragmented) {
        let expected = lines(&original, stream, &[], 0);
        assert!(expected.len() > 100, "{stream}: {} frames", expected.len());
        same(&lines(&plain, stream, &[], 0), &expected, "decoded from the virtual file");
        // libav 5.1 does not drop the priming of a fragmented track of AAC but gives it a time before 0,
        // and shows a picture with negative offsets later by its reordering, its own files too.
        let priming = usize::from(stream == "0:a" && names[1] == "aac");
        same(&lines(fragmented, "0", &[], priming), &expected, "decoded from the fragmented stream");
        let stored = lines(fragmented, "0", &["-c", "copy"], 0);
        same(&lines(&plain, stream, &["-c", "copy"], 0), &stored, "as stored");
    }
    let said = |path: &Path, entries: &str| {
        run("ffprobe", &["-v", "error", "-of", "csv=p=0", "-show_entries", entries, path.to_str().unwrap()])
    };
    assert_eq!(
        said(&plain, "stream=codec_name,width,height,channels,start_time"),
        format!("{},160,90,0.000000\n{},1,0.000000\n", names[0], names[1])
    );
    assert_eq!(said(&plain, "format=duration"), "6.000000\n");

    let [(_, read_video), (_, read_audio)] = demux(&whole);
    assert!(read_video == video_packets, "the second reader sees the same picture packets");
    assert!(read_audio == audio_packets, "the second reader sees the same sound packets");

    let mut demuxer = Fmp4SegmentDemuxer::new();
    demuxer.handle_init_segment(&video.inits[0]).unwrap();
    let mut seen = Vec::new();
    for located in video.index.segments() {
        let object = &video.objects[located.chunk.number as usize];
        let segment = &object[located.range.start as usize..located.range.end as usize];
        for sample in demuxer.handle_media_segment(segment).unwrap() {
            seen.push((
                sample.timestamp,
                sample.data_size as u32,
                sample.composition_time_offset.unwrap_or(0),
            ));
        }
    }
    let expected = video_packets.iter().scan(0, |time, (sample, _)| {
        let start = *time;
        *time += u64::from(sample.duration);
        Some((start, sample.size, i64::from(sample.cts_offset)))
    });
    assert_eq!(seen, expected.collect::<Vec<_>>(), "the second reader sees the same fragments");
}

#[test]
fn any_range_of_a_virtual_file_is_the_same_bytes_and_its_tag_tells_files_apart() {
    let packet = |size: u32, sync| {
        let sample = Sample { size, duration: 512, cts_offset: 0, sync };
        (sample, (0..size).map(|n| (n * 7 + size) as u8).collect())
    };
    let packets: Vec<Packet> = (0..60).map(|n| packet(40 + n, n % 10 == 0)).collect();
    let other: Vec<Packet> = (0..60).map(|n| packet(41 + n, n % 10 == 0)).collect();
    let config = AudioConfig::Aac(vec![0x11, 0x90]);
    let track = Track::Audio(AudioTrack { channels: 2, sample_rate: 48_000, config, priming: 1024 });
    let stored = store("a64", &track, &packets, 5120);
    let file = VirtualMp4::build(&[stored.track()]).unwrap();
    let whole = read(&file, &[&stored], 0..u64::MAX);
    assert_eq!(whole.len() as u64, file.len());
    for start in (0..file.len() + 50).step_by(97) {
        for len in [0, 1, 64, 1000, u64::MAX / 2] {
            let range = start.min(file.len()) as usize..start.saturating_add(len).min(file.len()) as usize;
            assert!(read(&file, &[&stored], start..start + len) == whole[range], "{len} bytes at {start}");
        }
    }
    let again = VirtualMp4::build(&[stored.track()]).unwrap();
    assert_eq!((again.etag(), again.head()), (file.etag(), file.head()), "the same bytes, the same tag");
    let stored = store("a64", &track, &other, 5120);
    assert_ne!(VirtualMp4::build(&[stored.track()]).unwrap().etag(), file.etag());

    let missing = VirtualTrack { chunks: &stored.chunk_indexes[1..], ..stored.track() };
    assert!(VirtualMp4::build(&[missing]).is_err(), "an index that is not there is no file");
    let renamed = RenditionName::Audio { kbps: 65 };
    let index = RenditionIndex { name: renamed, ..stored.index.clone() };
    let renamed = VirtualMp4::build(&[VirtualTrack { rendition: &index, ..stored.track() }]).unwrap();
    assert_ne!(renamed.etag(), file.etag());
}
