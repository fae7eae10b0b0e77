//! Feeds a cell as the packager does while an event is on: packets of a clip that `ffmpeg` made.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::cell::live::{
    LiveAudio, LiveInput, LivePlan, LiveReply, LiveRung, LiveSound, LiveTrack, LiveVideo,
};
use model::cell::{FrameLengths, Ratio, Request, decode_head, encode_head};
use model::feed::{FeedConfig, FeedTrack};
use model::{FailureReason, RenditionName};

/// A packet on its way to a cell.
#[derive(Debug, Clone)]
pub(crate) struct Fed {
    pub(crate) track: FeedTrack,
    pub(crate) dts: i64,
    pub(crate) cts_offset: i32,
    pub(crate) key: bool,
    pub(crate) data: Vec<u8>,
}

impl Fed {
    pub(crate) fn pts(&self) -> i64 {
        self.dts + i64::from(self.cts_offset)
    }
}

/// A clip as its packets, in the order of decoding.
#[derive(Debug)]
pub(crate) struct Clip {
    pub(crate) video: Option<FeedConfig>,
    pub(crate) audio: Option<FeedConfig>,
    pub(crate) packets: Vec<Fed>,
}

impl Clip {
    /// Takes an MP4 that `ffmpeg` made apart.
    pub(crate) fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let boxed = |kind: &[u8; 4]| {
            let at = bytes.windows(4).position(|window| window == kind)?;
            let size = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
            Some(bytes[at + 4..at - 4 + size].to_vec())
        };
        let video = boxed(b"avcC")
            .map(|avcc| FeedConfig::H264 { avcc })
            .or_else(|| boxed(b"hvcC").map(|hvcc| FeedConfig::Hevc { hvcc }))
            .or_else(|| boxed(b"av1C").map(|av1c| FeedConfig::Av1 { av1c }));
        // The DecoderSpecificInfo behind its long length (ISO/IEC 14496-1 §8.3.3).
        let asc = boxed(b"esds").map(|esds| {
            let at = esds.windows(4).position(|window| window == [0x05, 0x80, 0x80, 0x80]).unwrap();
            esds[at + 5..][..usize::from(esds[at + 4])].to_vec()
        });
        let opus = boxed(b"dOps").map(|ops| {
            let [skip, rate] = [&ops[2..4], &ops[4..8]].map(|value| value.iter().rev().copied());
            let head = b"OpusHead".iter().copied().chain([1, ops[1]]).chain(skip).chain(rate);
            head.chain([0, 0, 0]).collect()
        });
        let audio =
            asc.map(|asc| FeedConfig::Aac { asc }).or_else(|| opus.map(|head| FeedConfig::Opus { head }));
        let entries = "packet=codec_type,pts,dts,size,pos,flags:stream=codec_type,time_base";
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-of", "compact=nk=0", "-show_entries", entries]).arg(path);
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let fields = |line: &str| -> BTreeMap<String, String> {
            let pairs = line.split('|').filter_map(|field| field.split_once('='));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let scales: BTreeMap<String, i64> = said
            .lines()
            .filter(|line| line.starts_with("stream|"))
            .map(|line| {
                let stream = fields(line);
                let scale = stream["time_base"].strip_prefix("1/").unwrap().parse().unwrap();
                (stream["codec_type"].clone(), scale)
            })
            .collect();
        let packet = |line: &str| {
            let packet = fields(line);
            let number = |key: &str| packet[key].parse::<i64>().unwrap();
            let scale = scales[&packet["codec_type"]];
            let ticks = |value: i64| (value * 90_000 + scale / 2).div_euclid(scale);
            let (dts, pts) = (ticks(number("dts")), ticks(number("pts")));
            let at = number("pos") as usize;
            Fed {
                track: if packet["codec_type"] == "video" { FeedTrack::Video } else { FeedTrack::Audio },
                dts,
                cts_offset: (pts - dts) as i32,
                key: packet["flags"].starts_with('K'),
                data: bytes[at..at + number("size") as usize].to_vec(),
            }
        };
        let mut packets: Vec<Fed> =
            said.lines().filter(|line| line.starts_with("packet|")).map(packet).collect();
        packets.sort_by_key(|packet| packet.dts);
        Self { video, audio, packets }
    }

    /// The packets of a track.
    pub(crate) fn track(&self, track: FeedTrack) -> impl Iterator<Item = &Fed> {
        self.packets.iter().filter(move |packet| packet.track == track)
    }

    /// When the pictures are shown, in that order, and those at which decoding can start.
    pub(crate) fn shown(&self) -> (Vec<i64>, Vec<i64>) {
        let mut all: Vec<i64> = self.track(FeedTrack::Video).map(Fed::pts).collect();
        all.sort_unstable();
        let keys = self.track(FeedTrack::Video).filter(|packet| packet.key).map(Fed::pts).collect();
        (all, keys)
    }

    /// A ladder over it: 144p at half the rate, then these at all of it, and two rungs of sound.
    pub(crate) fn plan(&self, rate: u32, heights: &[u16]) -> LivePlan {
        let rung = |height: u16, frame_divisor, maxrate_bps| LiveRung {
            rendition: RenditionName::Video { height },
            width: (u32::from(height) * 16 / 9).next_multiple_of(2),
            height: height.into(),
            frame_divisor,
            crf: 28.0,
            maxrate_bps,
            bufsize_bits: maxrate_bps / 2,
            preset: "ultrafast".into(),
            profile: "main".into(),
            look_ahead: if height == 144 { 3 } else { 0 },
        };
        let others = heights.iter().map(|height| rung(*height, 1, 600_000));
        let video = self.video.clone().map(|config| LiveVideo {
            config,
            frame_rate: Ratio::new(rate, 1),
            rungs: std::iter::once(rung(144, 2, 60_000)).chain(others).collect(),
        });
        let sound = |kbps: u16, channels| LiveSound {
            rendition: RenditionName::Audio { kbps },
            channels,
            bit_rate_bps: u32::from(kbps) * 1000,
        };
        let audio = self.audio.clone().map(|config| LiveAudio {
            config,
            sample_rate: 48_000,
            rungs: vec![sound(32, 1), sound(96, 2)],
        });
        LivePlan { video, audio }
    }
}

/// A coded picture or piece of sound that a cell made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) dts: i64,
    pub(crate) key: bool,
    pub(crate) duration: u32,
    pub(crate) data: Vec<u8>,
}

/// What a cell said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) inits: BTreeMap<RenditionName, LiveTrack>,
    pub(crate) made: BTreeMap<RenditionName, Vec<Made>>,
    /// Per track, up to where it is done, and what was damaged.
    pub(crate) passed: BTreeMap<&'static str, (i64, u64)>,
    pub(crate) done: bool,
    pub(crate) refused: Option<(FailureReason, String)>,
}

impl Heard {
    fn hear(&mut self, reply: LiveReply, data: Vec<u8>) {
        assert!(!self.done && self.refused.is_none(), "{reply:?} behind the last word");
        match reply {
            LiveReply::Init { rendition, track } => {
                assert!(self.inits.insert(rendition, track).is_none(), "two inits of {rendition}");
            }
            LiveReply::Packet { rendition, dts, cts_offset, key, duration } => {
                assert!(self.inits.contains_key(&rendition), "{rendition} without an init");
                assert_eq!(cts_offset, 0);
                let made = self.made.entry(rendition).or_default();
                assert!(made.last().is_none_or(|last| last.dts < dts), "{rendition} goes back to {dts}");
                made.push(Made { dts, key, duration, data });
            }
            LiveReply::Passed { track, dts, damaged } => {
                let track = if track == FeedTrack::Video { "video" } else { "audio" };
                self.passed.insert(track, (dts, damaged));
            }
            LiveReply::Done => self.done = true,
            LiveReply::Refused { reason, detail } => self.refused = Some((reason, detail)),
        }
    }

    pub(crate) fn made(&self, name: &str) -> &[Made] {
        self.made.get(&name.parse().unwrap()).map_or(&[], Vec::as_slice)
    }

    /// When the pictures or frames of a rendition are, and which of them are IDR pictures.
    pub(crate) fn times(&self, name: &str) -> (Vec<i64>, Vec<i64>) {
        let all = self.made(name).iter().map(|made| made.dts).collect();
        let keys = self.made(name).iter().filter(|made| made.key).map(|made| made.dts).collect();
        (all, keys)
    }

    /// A rendition as a file that other programs can read.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        let (track, timescale) = match self.inits[&name.parse().unwrap()].clone() {
            LiveTrack::Video { avcc, width, height } => {
                let config = cmaf::VideoConfig::Avc(avcc);
                let track = cmaf::VideoTrack { width, height, timescale: 90_000, config, colour: None };
                (cmaf::Track::Video(track), 90_000)
            }
            LiveTrack::Audio { asc, sample_rate, channels } => {
                let config = cmaf::AudioConfig::Aac(asc);
                let track = cmaf::AudioTrack { channels, sample_rate, config, priming: 0 };
                (cmaf::Track::Audio(track), i64::from(sample_rate))
            }
        };
        let made = self.made(name);
        let first = made.first().map_or(0, |made| made.dts);
        let at = |dts: i64| ((dts - first) * timescale + 45_000) / 90_000;
        let mut file = cmaf::init_segment(&track).unwrap().to_vec();
        for (n, made) in made.iter().enumerate() {
            let next =
                self.made(name).get(n + 1).map_or(made.dts + i64::from(made.duration), |next| next.dts);
            let sample = cmaf::Sample {
                size: made.data.len() as u32,
                duration: (at(next) - at(made.dts)) as u32,
                cts_offset: 0,
                // A segment for each: only what is read of it by others counts.
                sync: true,
            };
            file.extend_from_slice(
                &cmaf::media_segment(n as u32 + 1, at(made.dts) as u64, &[sample], &made.data).unwrap(),
            );
        }
        file
    }
}

/// A cell at work on a feed.
pub(crate) struct Cell {
    child: Child,
    stdin: Option<ChildStdin>,
    replies: mpsc::Receiver<(LiveReply, Vec<u8>)>,
    reader: JoinHandle<()>,
    pub(crate) heard: Heard,
}

/// The longest that anything here takes; nothing is asserted about how long it does.
const DEADLINE: Duration = Duration::from_secs(120);

impl Cell {
    pub(crate) fn start(plan: LivePlan) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cocuyo-transcoder"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&encode_head(&Request::Live { plan }, 0).unwrap()).unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, replies) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut lengths = [0; FrameLengths::SIZE];
            while stdout.read_exact(&mut lengths).is_ok() {
                let lengths = FrameLengths::parse(lengths).unwrap();
                let mut head = vec![0; lengths.head as usize];
                let mut payload = vec![0; lengths.payload as usize];
                stdout.read_exact(&mut head).unwrap();
                stdout.read_exact(&mut payload).unwrap();
                let _ = sender.send((decode_head(&head).unwrap(), payload));
            }
        });
        Self { child, stdin: Some(stdin), replies, reader, heard: Heard::default() }
    }

    /// Feeds it a packet; its rungs have an IDR picture where the packet says that decoding can start.
    pub(crate) fn feed(&mut self, fed: &Fed) {
        let Fed { track, dts, cts_offset, key, ref data } = *fed;
        self.say(&LiveInput::Packet { track, dts, cts_offset, key, idr: key }, data);
    }

    pub(crate) fn say(&mut self, input: &LiveInput, data: &[u8]) {
        let frame = [encode_head(input, data.len()).unwrap(), data.to_vec()].concat();
        self.stdin.as_mut().unwrap().write_all(&frame).unwrap();
        while let Ok((reply, data)) = self.replies.try_recv() {
            self.heard.hear(reply, data);
        }
    }

    /// Listens until it has said this.
    pub(crate) fn until(&mut self, what: &str, has: impl Fn(&Heard) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !has(&self.heard) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((reply, data)) = self.replies.recv_timeout(left) else {
                panic!("no {what}; passed {:?}, refused {:?}", self.heard.passed, self.heard.refused);
            };
            self.heard.hear(reply, data);
        }
    }

    /// Says that the feed is over, and listens to the end.
    pub(crate) fn finish(mut self) -> Heard {
        self.say(&LiveInput::End, &[]);
        self.leave()
    }

    /// Closes its input at once, and waits until it is gone.
    pub(crate) fn abandon(mut self) -> Heard {
        self.stdin = None;
        self.leave()
    }

    fn leave(mut self) -> Heard {
        while let Ok((reply, data)) = self.replies.recv_timeout(DEADLINE) {
            self.heard.hear(reply, data);
        }
        self.stdin = None;
        self.reader.join().unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.heard
    }
}

/// Seconds of processor time that children took which are gone.
pub(crate) fn children_cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name in brackets, fields 16 and 17 of proc(5), in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[13..15].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// Feeds a cell everything, and listens to the end.
pub(crate) fn broadcast<'a>(plan: LivePlan, packets: impl IntoIterator<Item = &'a Fed>) -> Heard {
    let mut cell = Cell::start(plan);
    packets.into_iter().for_each(|fed| cell.feed(fed));
    let heard = cell.finish();
    assert!(heard.done, "{:?}", heard.refused);
    heard
}
