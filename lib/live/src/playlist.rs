use std::fmt::{self, Write};

use model::{RenditionName, Timestamp};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::rendition::Begun;
use crate::{Part, Rendition, Segment, Timing, View, Window};

/// `EXT-X-SKIP` needs 9 (§8).
const PROTOCOL: u32 = 9;
/// Hold-backs in target durations of segments and of parts: 3 is the least for segments, and what
/// should be for parts (§4.4.3.8).
const HOLD_BACK: u32 = 3;
/// In target durations, the least that is allowed (§4.4.3.8).
const SKIP_UNTIL: u32 = 6;
/// Parts are listed up to so many target durations from the end (§6.2.2).
const PARTS_UNTIL: u32 = 3;
/// Every so many segments the time of day stands again.
const DATED: u32 = 16;

/// Which of a rendition's playlists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shown {
    /// What is listed,
    pub view: View,
    /// how much of it,
    pub window: Window,
    /// and whether as the difference to what the client knows (§6.2.5.1).
    pub delta: bool,
}

/// Where another rendition of the event is (§4.4.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub rendition: RenditionName,
    /// Its last segment that is listed, perhaps with only some of its parts,
    pub last_msn: u32,
    /// and the last of these.
    pub last_part: Option<u32>,
    /// Its last segment that is closed: the last where no parts are listed.
    #[serde(default)]
    pub last_closed: Option<u32>,
}

/// The media playlist of a rendition.
///
/// Names in it are relative, so that a token in the path of a playlist is inherited.
pub fn media(rendition: &Rendition, timing: &Timing, shown: Shown, reports: &[Report]) -> String {
    let mut text = String::with_capacity(2048);
    let written = Writer { rendition, timing, shown, reports }.write(&mut text);
    written.expect("a string takes every text");
    text
}

/// One entry of the playlist: a segment, or several that are listed as one.
struct Row<'a> {
    msn: u32,
    begun: Begun,
    last_msn: u32,
    duration: u64,
    parts: &'a [Part],
}

struct Writer<'a> {
    rendition: &'a Rendition,
    timing: &'a Timing,
    shown: Shown,
    reports: &'a [Report],
}

impl Writer<'_> {
    fn write(&self, text: &mut String) -> fmt::Result {
        let rows = self.rows();
        let end = self.end(&rows);
        let first = self.first(&rows, end);
        let skipped = if self.shown.delta { self.skipped(&rows[first..], end) } else { 0 };
        let (left_out, listed) = rows.split_at(first + skipped);
        let breaks = rows[..first].iter().filter(|row| row.begun.discontinuity).count();

        self.write_head(text)?;
        let msn = rows.get(first).map_or_else(|| self.next_msn(&rows), |row| row.msn);
        writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{msn}")?;
        writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}")?;
        if skipped > 0 {
            writeln!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        let mut init = None;
        for (n, row) in listed.iter().enumerate() {
            self.write_begun(text, &row.begun, row.msn, n == 0, &mut init)?;
            if self.has_parts()
                && end.saturating_sub(row.begun.start) <= self.ticks(PARTS_UNTIL) + row.duration
            {
                self.write_parts(text, &row.begun, row.parts)?;
            }
            if row.begun.gap {
                text.push_str("#EXT-X-GAP\n");
            }
            writeln!(text, "#EXTINF:{},", Seconds::of(row.duration, self.rendition.timescale))?;
            self.write_uri(text, row)?;
        }
        if self.rendition.ended {
            text.push_str("#EXT-X-ENDLIST\n");
            return Ok(());
        }
        if self.has_parts() {
            let is_first = listed.is_empty() && left_out.is_empty();
            self.write_growing(text, is_first, &mut init)?;
        }
        self.write_reports(text)
    }

    fn write_head(&self, text: &mut String) -> fmt::Result {
        let target_s = self.shown.view.target_duration_s(self.timing.target_duration_s);
        writeln!(text, "#EXTM3U\n#EXT-X-VERSION:{PROTOCOL}\n#EXT-X-TARGETDURATION:{target_s}")?;
        text.push_str("#EXT-X-SERVER-CONTROL:");
        if self.shown.view != View::Saver {
            text.push_str("CAN-BLOCK-RELOAD=YES,");
        }
        if let Some(target_ms) = self.timing.part_target_ms.filter(|_| self.has_parts()) {
            write!(text, "PART-HOLD-BACK={},", Seconds::of((target_ms * HOLD_BACK).into(), 1000))?;
        }
        writeln!(text, "HOLD-BACK={}.0,CAN-SKIP-UNTIL={}.0", target_s * HOLD_BACK, target_s * SKIP_UNTIL)?;
        if let Some(target_ms) = self.timing.part_target_ms.filter(|_| self.has_parts()) {
            writeln!(text, "#EXT-X-PART-INF:PART-TARGET={}", Seconds::of(target_ms.into(), 1000))?;
        }
        if self.rendition.name.is_video() {
            // Not `EXT-X-INDEPENDENT-SEGMENTS`: a publisher's key frames may be further apart than a
            // segment may last.
            return Ok(());
        }
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        Ok(())
    }

    /// What precedes the first part of a segment (§4.4.4.9).
    fn write_begun(
        &self,
        text: &mut String,
        begun: &Begun,
        msn: u32,
        is_first: bool,
        init: &mut Option<u32>,
    ) -> fmt::Result {
        if begun.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if init.replace(begun.init) != Some(begun.init) {
            writeln!(text, "#EXT-X-MAP:URI=\"{}init-{}.mp4\"", self.prefix(), begun.init)?;
        }
        if is_first || begun.discontinuity || msn.is_multiple_of(DATED) {
            let at = date(self.timing.zero, begun.start, self.rendition.timescale);
            writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{at}")?;
        }
        Ok(())
    }

    fn write_parts(&self, text: &mut String, begun: &Begun, parts: &[Part]) -> fmt::Result {
        for (n, part) in parts.iter().enumerate() {
            let duration = Seconds::of(part.duration.into(), self.rendition.timescale);
            write!(text, "#EXT-X-PART:DURATION={duration},URI=\"{}.{n}.m4s\"", begun.msn)?;
            // What a killed packager had not made of a segment is a gap behind what it had.
            text.push_str(match (begun.gap || part.size_bytes == 0, part.independent) {
                (true, _) => ",GAP=YES\n",
                (false, true) => ",INDEPENDENT=YES\n",
                (false, false) => "\n",
            });
        }
        Ok(())
    }

    /// The segment that is not closed: its parts, and the next one, which is waited for; before its first part
    /// the format that this will need, if it is another one (§6.2.6).
    fn write_growing(&self, text: &mut String, is_first: bool, init: &mut Option<u32>) -> fmt::Result {
        let next = self.rendition.position();
        match &self.rendition.open {
            Some(open) if !open.parts.is_empty() => {
                self.write_begun(text, &open.begun, open.begun.msn, is_first, init)?;
                self.write_parts(text, &open.begun, &open.parts)?;
            }
            Some(open) if init.is_some_and(|listed| listed != open.begun.init) => {
                writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"init-{}.mp4\"", open.begun.init)?;
            }
            _ => {}
        }
        writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}.{}.m4s\"", next.msn, next.parts)
    }

    fn write_reports(&self, text: &mut String) -> fmt::Result {
        if self.shown.view == View::Saver {
            return Ok(());
        }
        for report in self.reports.iter().filter(|report| report.rendition != self.rendition.name) {
            let Report { rendition, last_msn, last_part, last_closed } = *report;
            let listed =
                if self.has_parts() { Some((last_msn, last_part)) } else { last_closed.zip(Some(None)) };
            let Some((last_msn, last_part)) = listed else { continue };
            write!(text, "#EXT-X-RENDITION-REPORT:URI=\"../{rendition}/playlist.m3u8\",LAST-MSN={last_msn}")?;
            if let Some(part) = last_part {
                write!(text, ",LAST-PART={part}")?;
            }
            text.push('\n');
        }
        Ok(())
    }

    fn write_uri(&self, text: &mut String, row: &Row<'_>) -> fmt::Result {
        match self.shown.view {
            View::Low | View::Normal => writeln!(text, "{}{}.m4s", self.prefix(), row.begun.msn),
            View::Saver => writeln!(text, "{}-{}.m4s", row.begun.msn, row.last_msn),
        }
    }

    /// The way from the playlist to the rendition's own pieces.
    fn prefix(&self) -> String {
        match self.shown.view {
            View::Low => String::new(),
            View::Normal | View::Saver => format!("../../{}/", self.rendition.name),
        }
    }

    /// All entries from the first of the event; what is listed is the end of them.
    fn rows(&self) -> Vec<Row<'_>> {
        let rendition = self.rendition;
        let one = |segment: &Segment| (segment.begun, u64::from(segment.duration));
        if self.shown.view.grouped(self.timing.target_duration_s) == 1 {
            let rows = rendition.segments.iter().map(|segment| {
                let (begun, duration) = one(segment);
                Row { msn: begun.msn, begun, last_msn: begun.msn, duration, parts: &segment.parts }
            });
            return rows.collect();
        }
        let target_s = self.shown.view.target_duration_s(self.timing.target_duration_s);
        let least = u64::from(target_s) * u64::from(rendition.timescale);
        // A segment's rounded duration is at most the target (§4.4.3.1).
        let greatest = least + u64::from(rendition.timescale) / 2 - 1;
        let mut rows: Vec<Row<'_>> = Vec::new();
        let mut is_whole = true;
        for segment in &rendition.segments {
            let (begun, duration) = one(segment);
            let joined = rows.last_mut().filter(|row| {
                !is_whole
                    && !begun.discontinuity
                    && begun.init == row.begun.init
                    && begun.gap == row.begun.gap
                    && row.duration + duration <= greatest
            });
            match joined {
                Some(row) => {
                    row.duration += duration;
                    row.last_msn = begun.msn;
                }
                None => {
                    let msn = rendition.first_msn + rows.len() as u32;
                    rows.push(Row { msn, begun, last_msn: begun.msn, duration, parts: &[] });
                }
            }
            // Whole when no further segment of the usual length would fit.
            let usual = u64::from(self.timing.target_duration_s) * u64::from(rendition.timescale);
            is_whole = rows.last().is_some_and(|row| {
                let count = row.last_msn - row.begun.msn + 1;
                row.duration + usual * 3 / 4 > greatest || count >= View::MOST_GROUPED
            });
        }
        if !is_whole && !rendition.ended {
            rows.pop();
        }
        rows
    }

    fn next_msn(&self, rows: &[Row<'_>]) -> u32 {
        self.rendition.first_msn + rows.len() as u32
    }

    /// Decode time at which everything that is listed ends.
    fn end(&self, rows: &[Row<'_>]) -> u64 {
        let closed = rows.last().map(|last| last.begun.start + last.duration);
        let open = self.rendition.open.as_ref().filter(|_| self.has_parts());
        let growing = open.map(|open| {
            open.begun.start + open.parts.iter().map(|part| u64::from(part.duration)).sum::<u64>()
        });
        growing.or(closed).unwrap_or_default()
    }

    /// The first row within the window.
    fn first(&self, rows: &[Row<'_>], end: u64) -> usize {
        let start =
            end.saturating_sub(u64::from(self.shown.window.seconds()) * u64::from(self.rendition.timescale));
        rows.partition_point(|row| row.begun.start + row.duration <= start)
    }

    /// How many of the rows in the window the client need not be told again.
    fn skipped(&self, rows: &[Row<'_>], end: u64) -> usize {
        let until = end.saturating_sub(self.ticks(SKIP_UNTIL));
        rows.partition_point(|row| row.begun.start + row.duration <= until)
    }

    /// So many target durations of this view, in ticks.
    fn ticks(&self, target_durations: u32) -> u64 {
        let target_s = self.shown.view.target_duration_s(self.timing.target_duration_s);
        u64::from(target_s * target_durations) * u64::from(self.rendition.timescale)
    }

    fn has_parts(&self) -> bool {
        self.shown.view == View::Low && self.timing.part_target_ms.is_some()
    }
}

const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The time of day of decode time `start` (§4.4.4.6), to the millisecond.
fn date(zero: Timestamp, start: u64, timescale: u32) -> String {
    let ms = i128::from(zero.as_millis()) + i128::from(start) * 1000 / i128::from(timescale);
    let at = OffsetDateTime::from_unix_timestamp_nanos(ms * 1_000_000).ok();
    at.and_then(|at| at.format(DATE).ok()).unwrap_or_else(|| "1970-01-01T00:00:00.000Z".to_owned())
}

/// Ticks as decimal seconds, rounded to the nearest hundred-thousandth: sums over hours stay exact
/// to the second, because each is rounded from whole ticks.
struct Seconds(u64);

impl Seconds {
    fn of(ticks: u64, timescale: u32) -> Self {
        let timescale = u64::from(timescale);
        Self((ticks * 100_000 + timescale / 2) / timescale)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 100_000, self.0 % 100_000);
        let text = format!("{fraction:05}");
        let digits = text.trim_end_matches('0');
        write!(f, "{whole}.{}", if digits.is_empty() { "0" } else { digits })
    }
}

#[cfg(test)]
mod tests;
