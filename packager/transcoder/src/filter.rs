//! Texts of filter graphs, built from numbers and words of this program only.

use model::cell::VideoPlan;

use crate::libav::{Colour, Picture, SoundFormat};

/// Colour matrices of ITU-T H.273 that we treat by name.
const BT709: i32 = 1;
/// libav's number of 4:2:0 in 8 bits.
const YUV420P: i32 = 0;
/// The HDR ones among the transfer characteristics.
const PQ: i32 = 16;
const HLG: i32 = 18;
const FULL_RANGE: i32 = 2;
/// How films are scaled.
const BICUBIC: &str = "bicubic";

/// What a graph for pictures depends on: when it changes within a stream, the graph is built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PictureFormat {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixel_format: i32,
    pub(crate) pixel_aspect: (i32, i32),
    pub(crate) colour: Colour,
}

impl PictureFormat {
    pub(crate) fn of(picture: &Picture) -> Self {
        let (width, height) = picture.size();
        Self {
            width,
            height,
            pixel_format: picture.pixel_format(),
            pixel_aspect: picture.pixel_aspect(),
            colour: picture.colour(),
        }
    }

    /// Arguments of the graph's source. Times are places on the grid, so the base is 1.
    pub(crate) fn source(&self) -> String {
        let Self { width, height, pixel_format, .. } = self;
        format!("video_size={width}x{height}:pix_fmt={pixel_format}:time_base=1/1:pixel_aspect=1/1")
    }

    /// The matrix by the scaler's name; files that do not say are taken by their height, as
    /// players do.
    fn matrix(&self) -> &'static str {
        match self.colour.matrix {
            BT709 => "bt709",
            4 => "fcc",
            5 | 6 => "bt601",
            7 => "smpte240m",
            9 | 10 => "bt2020",
            _ if self.height <= 576 => "bt601",
            _ => "bt709",
        }
    }
}

/// The way from decoded pictures to upright, progressive 4:2:0 in BT.709 of the given size.
pub(crate) fn to_first_rung(from: &PictureFormat, plan: &VideoPlan, (width, height): (u32, u32)) -> String {
    // Turned pictures are scaled lying, which is less work than turning them first.
    let lying = matches!(plan.rotation, 90 | 270);
    let size = if lying { (height, width) } else { (width, height) };
    let mut filters = Vec::new();
    if plan.deinterlace {
        filters.push("bwdif=mode=send_frame:deint=interlaced".to_owned());
    }
    filters.extend(if plan.tone_map { Some(tone_mapped(from, size)) } else { scaled(from, size, BICUBIC) });
    filters.push("format=yuv420p".to_owned());
    filters.extend(match plan.rotation {
        90 => Some("transpose=clock".to_owned()),
        180 => Some("hflip,vflip".to_owned()),
        270 => Some("transpose=cclock".to_owned()),
        _ => None,
    });
    filters.push("setsar=1".to_owned());
    filters.join(",")
}

/// The same for a feed, whose pictures are upright and progressive; what is HDR they say themselves.
pub(crate) fn to_first_live_rung(from: &PictureFormat, size: (u32, u32)) -> String {
    let is_hdr = matches!(from.colour.transfer, PQ | HLG);
    let scaled = if is_hdr { Some(tone_mapped(from, size)) } else { scaled(from, size, BICUBIC) };
    scaled.into_iter().chain(["format=yuv420p,setsar=1".to_owned()]).collect::<Vec<_>>().join(",")
}

/// HDR to the given size, and to BT.709.
fn tone_mapped(from: &PictureFormat, (width, height): (u32, u32)) -> String {
    let transfer = if from.colour.transfer == HLG { "arib-std-b67" } else { "smpte2084" };
    // Scaled first, in its own colours: floats are slow.
    format!(
        "scale={width}:{height}:flags=bicubic:in_color_matrix=bt2020:out_color_matrix=bt2020,\
         format=yuv420p10le,\
         zscale=tin={transfer}:min=bt2020nc:pin=bt2020:rin=tv:t=linear:npl=100,\
         format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv"
    )
}

/// To the given size, in BT.709; none where nothing is to be done.
fn scaled(from: &PictureFormat, (width, height): (u32, u32), scaler: &str) -> Option<String> {
    let same_size = (from.width, from.height) == (width, height);
    let same_format = from.pixel_format == YUV420P && from.colour.range != FULL_RANGE;
    let matrix = from.matrix();
    if same_size && same_format && matrix == "bt709" {
        return None;
    }
    let range = match from.colour.range {
        1 => ":in_range=tv",
        FULL_RANGE => ":in_range=pc",
        _ => "",
    };
    Some(format!(
        "scale={width}:{height}:flags={scaler}:in_color_matrix={matrix}:out_color_matrix=bt709{range}:out_range=tv"
    ))
}

/// The way from one rung's pictures to a smaller one's.
pub(crate) fn to_smaller_rung((width, height): (u32, u32)) -> String {
    format!("scale={width}:{height}:flags=bicubic,format=yuv420p,setsar=1")
}

/// The way from a rung's pictures to a JPEG's.
pub(crate) fn to_jpeg((width, height): (u32, u32)) -> String {
    format!(
        "scale={width}:{height}:flags=lanczos:in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc,\
         format=yuv420p"
    )
}

/// Arguments of the source of a graph for sound; times are in samples.
pub(crate) fn sound_source(from: &SoundFormat) -> String {
    let SoundFormat { sample_format, sample_rate, channels, layout } = from;
    let layout = match layout {
        0 => format!("channels={channels}"),
        mask => format!("channel_layout=0x{mask:x}"),
    };
    format!("time_base=1/{sample_rate}:sample_rate={sample_rate}:sample_fmt={sample_format}:{layout}")
}

/// The way from decoded sound to an encoder's: gaps are filled with silence and overlaps cut by
/// the timestamps, so that sound stays with the picture; the first sample out is sample `from`
/// of the track. It resamples also where the rates are the same (`flags=res`): libav would begin to in
/// mid-stream, when the first gap is to be closed, and count from `from` once more.
pub(crate) fn to_sound_rung(input: &SoundFormat, sample_rate: u32, channels: u16, from: u64) -> String {
    let layout = if channels == 1 { "mono" } else { "stereo" };
    // Of sound whose loudspeakers are unknown and too many to guess, the first ones are kept.
    let chosen = match (input.layout, input.channels, channels) {
        (0, 9.., 1) => "pan=mono|c0=c0,",
        (0, 9.., _) => "pan=stereo|c0=c0|c1=c1,",
        _ => "",
    };
    format!(
        "{chosen}aresample={sample_rate}:flags=res:async=1000:first_pts={from}:min_hard_comp=0.1,\
         aformat=sample_fmts=fltp:sample_rates={sample_rate}:channel_layouts={layout}"
    )
}

#[cfg(test)]
mod tests {
    use model::cell::Ratio;

    use super::*;

    fn plan() -> VideoPlan {
        VideoPlan {
            stream: 0,
            frame_rate: Ratio::new(25, 1),
            segment_frames: 100,
            frames: 1000,
            rotation: 0,
            deinterlace: false,
            tone_map: false,
            rungs: Vec::new(),
            copied: None,
            poster_width: 1280,
            thumbnail_width: 480,
        }
    }

    const HD: PictureFormat = PictureFormat {
        width: 1920,
        height: 1080,
        pixel_format: YUV420P,
        pixel_aspect: (1, 1),
        colour: Colour { range: 1, transfer: 1, matrix: 1 },
    };

    #[test]
    fn pictures_that_fit_pass_untouched() {
        assert_eq!(to_first_rung(&HD, &plan(), (1920, 1080)), "format=yuv420p,setsar=1");
    }

    #[test]
    fn a_phone_film_is_scaled_lying_then_turned() {
        let text = to_first_rung(&HD, &VideoPlan { rotation: 90, ..plan() }, (720, 1280));
        assert!(text.starts_with("scale=1280:720:"), "{text}");
        assert!(text.ends_with("format=yuv420p,transpose=clock,setsar=1"), "{text}");
    }

    #[test]
    fn colours_that_a_file_does_not_name_go_by_height() {
        let unknown = Colour { range: 0, transfer: 77, matrix: 200 };
        for (height, matrix) in [(576, "bt601"), (720, "bt709")] {
            let from = PictureFormat { height, colour: unknown, ..HD };
            let text = to_first_rung(&from, &plan(), (640, 360));
            assert!(
                text.contains(&format!("in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv")),
                "{text}"
            );
        }
    }

    #[test]
    fn interlaced_and_hdr_films_are_treated_in_order() {
        let text = to_first_rung(&HD, &VideoPlan { deinterlace: true, tone_map: true, ..plan() }, (640, 360));
        let places = ["bwdif", "scale=640:360", "zscale=tin=smpte2084", "tonemap", "format=yuv420p,"]
            .map(|word| text.find(word).unwrap());
        assert!(places.is_sorted(), "{text}");
    }
}
