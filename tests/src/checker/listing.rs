//! A playlist as it stands there, tag by tag: what a parser for players throws away is what is
//! looked for here.

use broadcast_hls::{ProgramDateTime, parse_attribute_list_strict};

/// Millionths of a second.
pub(crate) type Micros = u64;

/// A media playlist.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) target_duration_s: u64,
    pub(crate) control: Control,
    pub(crate) media_sequence: u64,
    pub(crate) discontinuity_sequence: Option<u64>,
    pub(crate) playlist_type: Option<String>,
    pub(crate) skipped: u64,
    /// Closed segments, the first of which is `media_sequence + skipped`.
    pub(crate) segments: Vec<Listed>,
    /// The one that grows, if it has anything.
    pub(crate) open: Option<Listed>,
    /// Kinds and names.
    pub(crate) hints: Vec<(String, String)>,
    /// Names, last segments, last parts.
    pub(crate) reports: Vec<(String, u64, Option<u64>)>,
    pub(crate) ended: bool,
    /// Tags that stand where they must not.
    pub(crate) misplaced: Vec<String>,
}

/// What holds for the playlist as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Control {
    pub(crate) part_target: Option<Micros>,
    pub(crate) hold_back: Option<Micros>,
    pub(crate) part_hold_back: Option<Micros>,
    pub(crate) skip_until: Option<Micros>,
    pub(crate) can_block: bool,
}

/// A segment as it is listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listed {
    pub(crate) uri: String,
    pub(crate) duration: Micros,
    pub(crate) discontinuity: bool,
    pub(crate) gap: bool,
    /// The map that holds for it.
    pub(crate) map: Option<String>,
    /// The time of day that stands before it.
    pub(crate) date_ms: Option<i64>,
    pub(crate) parts: Vec<ListedPart>,
}

/// A part as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedPart {
    pub(crate) uri: String,
    pub(crate) duration: Micros,
    pub(crate) independent: bool,
    pub(crate) gap: bool,
}

/// Tags that stand once, before everything about segments.
const ONCE: [&str; 7] = [
    "#EXT-X-VERSION",
    "#EXT-X-TARGETDURATION",
    "#EXT-X-SERVER-CONTROL",
    "#EXT-X-PART-INF",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-DISCONTINUITY-SEQUENCE",
    "#EXT-X-SKIP",
];

/// An attribute list.
struct Attributes(std::collections::BTreeMap<String, String>);

impl Attributes {
    fn of(text: &str) -> Result<Self, String> {
        parse_attribute_list_strict(text).map(|(attributes, _)| Self(attributes)).map_err(|e| e.to_string())
    }

    fn text(&self, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().ok_or_else(|| format!("{name} is missing"))
    }

    fn is_yes(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| value == "YES")
    }

    fn micros(&self, name: &str) -> Result<Option<Micros>, String> {
        self.0.get(name).map(|text| micros(text)).transpose()
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        self.0.get(name).map(|text| number(text)).transpose()
    }
}

impl Listing {
    /// Reads a playlist; says in which line what cannot be read.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().zip(1..);
        if lines.next().map(|(line, _)| line) != Some("#EXTM3U") {
            return Err("it does not begin with #EXTM3U".to_owned());
        }
        let mut reader = Reader::default();
        for (line, n) in lines.filter(|(line, _)| !line.is_empty()) {
            reader.line(line).map_err(|fault| format!("line {n}, {line}: {fault}"))?;
        }
        reader.end()
    }

    /// The number of the first segment that is listed, whether or not it is left out.
    pub(crate) fn first_listed(&self) -> u64 {
        self.media_sequence + self.skipped
    }

    /// How far it goes: the number of the segment that is not closed, and how many parts that has.
    pub(crate) fn end(&self) -> (u64, u64) {
        let parts = self.open.as_ref().map_or(0, |open| open.parts.len() as u64);
        (self.first_listed() + self.segments.len() as u64, parts)
    }

    /// Closed segments with their numbers.
    pub(crate) fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &Listed)> {
        self.segments.iter().enumerate().map(|(n, listed)| (self.first_listed() + n as u64, listed))
    }

    /// What is listed behind the beginning of each segment, in total.
    pub(crate) fn listed(&self) -> Micros {
        let open = self.open.iter().flat_map(|open| &open.parts).map(|part| part.duration);
        self.segments.iter().map(|segment| segment.duration).chain(open).sum()
    }
}

#[derive(Default)]
struct Reader {
    listing: Listing,
    seen: Vec<String>,
    /// What stands before the next segment's URI.
    next: Listed,
    duration: Option<Micros>,
    map: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if self.listing.ended {
            return Err("behind the end".to_owned());
        }
        if !line.starts_with('#') {
            return self.uri(line);
        }
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        if ONCE.contains(&tag) {
            if self.seen.iter().any(|seen| seen == tag) {
                return Err("it stands twice".to_owned());
            }
            self.seen.push(tag.to_owned());
        }
        let is_begun = !self.listing.segments.is_empty() || !self.next.parts.is_empty();
        match tag {
            "#EXT-X-VERSION" => number(value).map(drop)?,
            "#EXT-X-TARGETDURATION" => self.listing.target_duration_s = number(value)?,
            "#EXT-X-MEDIA-SEQUENCE" => {
                self.listing.media_sequence = number(value)?;
                self.misplaced(is_begun, line);
            }
            "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.listing.discontinuity_sequence = Some(number(value)?);
                let skips = self.seen.iter().any(|seen| seen == "#EXT-X-SKIP");
                self.misplaced(is_begun || skips, line);
            }
            "#EXT-X-PLAYLIST-TYPE" => self.listing.playlist_type = Some(value.to_owned()),
            "#EXT-X-INDEPENDENT-SEGMENTS" => {}
            "#EXT-X-SERVER-CONTROL" => {
                let attributes = Attributes::of(value)?;
                let part_target = self.listing.control.part_target;
                self.listing.control = Control {
                    part_target,
                    hold_back: attributes.micros("HOLD-BACK")?,
                    part_hold_back: attributes.micros("PART-HOLD-BACK")?,
                    skip_until: attributes.micros("CAN-SKIP-UNTIL")?,
                    can_block: attributes.is_yes("CAN-BLOCK-RELOAD"),
                };
            }
            "#EXT-X-PART-INF" => {
                self.listing.control.part_target = Attributes::of(value)?.micros("PART-TARGET")?;
            }
            "#EXT-X-SKIP" => {
                let skipped = Attributes::of(value)?.number("SKIPPED-SEGMENTS")?;
                self.listing.skipped = skipped.ok_or("it skips nothing")?;
                self.misplaced(is_begun, line);
            }
            "#EXT-X-MAP" => {
                self.map = Some(Attributes::of(value)?.text("URI")?);
                self.misplaced(!self.next.parts.is_empty(), line);
            }
            "#EXT-X-DISCONTINUITY" => {
                self.next.discontinuity = true;
                self.misplaced(!self.next.parts.is_empty(), line);
            }
            "#EXT-X-PROGRAM-DATE-TIME" => {
                let date = ProgramDateTime::parse(value).map_err(|error| error.to_string())?;
                self.next.date_ms = Some(date.timestamp().as_millisecond());
                self.misplaced(!self.next.parts.is_empty(), line);
            }
            "#EXT-X-GAP" => self.next.gap = true,
            "#EXT-X-PART" => self.part(&Attributes::of(value)?)?,
            "#EXTINF" => {
                let (seconds, _) = value.split_once(',').ok_or("no comma")?;
                self.duration = Some(micros(seconds)?);
            }
            "#EXT-X-PRELOAD-HINT" => {
                let attributes = Attributes::of(value)?;
                self.listing.hints.push((attributes.text("TYPE")?, attributes.text("URI")?));
            }
            "#EXT-X-RENDITION-REPORT" => {
                let attributes = Attributes::of(value)?;
                let last_msn = attributes.number("LAST-MSN")?.ok_or("no LAST-MSN")?;
                let last_part = attributes.number("LAST-PART")?;
                self.listing.reports.push((attributes.text("URI")?, last_msn, last_part));
            }
            "#EXT-X-ENDLIST" => self.listing.ended = true,
            _ if tag.starts_with("#EXT") => return Err("no tag that is known".to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn part(&mut self, attributes: &Attributes) -> Result<(), String> {
        self.next.parts.push(ListedPart {
            uri: attributes.text("URI")?,
            duration: attributes.micros("DURATION")?.ok_or("no DURATION")?,
            independent: attributes.is_yes("INDEPENDENT"),
            gap: attributes.is_yes("GAP"),
        });
        Ok(())
    }

    fn uri(&mut self, line: &str) -> Result<(), String> {
        let duration = self.duration.take().ok_or("no EXTINF before it")?;
        let segment = Listed { uri: line.to_owned(), duration, map: self.map.clone(), ..self.taken() };
        self.listing.segments.push(segment);
        Ok(())
    }

    fn taken(&mut self) -> Listed {
        std::mem::take(&mut self.next)
    }

    fn misplaced(&mut self, is_misplaced: bool, line: &str) {
        if is_misplaced {
            self.listing.misplaced.push(line.to_owned());
        }
    }

    fn end(mut self) -> Result<Listing, String> {
        if !self.seen.iter().any(|tag| tag == "#EXT-X-TARGETDURATION") {
            return Err("it has no target duration".to_owned());
        }
        let open = Listed { map: self.map.clone(), ..self.taken() };
        if !open.parts.is_empty() {
            self.listing.open = Some(open);
        } else if open.discontinuity || open.date_ms.is_some() || open.gap {
            self.listing.misplaced.push("what describes a segment, and no segment".to_owned());
        }
        Ok(self.listing)
    }
}

fn number(text: &str) -> Result<u64, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten().ok_or_else(|| format!("`{text}` is no number"))
}

/// Decimal seconds, to the millionth.
fn micros(text: &str) -> Result<Micros, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let padded = format!("{fraction:0<6}");
    let fraction = padded.get(..6).ok_or_else(|| format!("`{text}` is no time"))?;
    Ok(number(whole)? * 1_000_000 + number(fraction)?)
}
