use model::RenditionName;

/// The sounds that a picture is offered with, out of all `tracks` with the codecs that they have, or have
/// had: the one that goes with it first.
///
/// AAC plays everywhere, Opus does not. A publisher's Opus goes with the publisher's picture, which is
/// the greatest; everything is there with AAC, too, as far as there is any.
pub fn sounds_with(picture: RenditionName, tracks: &[(RenditionName, &str)]) -> Vec<RenditionName> {
    let sounds = tracks.iter().filter(|(name, _)| !name.is_video());
    let is_plain = |codecs: &str| codecs.split(',').all(|codec| codec.starts_with("mp4a"));
    let (plain, rare): (Vec<_>, Vec<_>) = sounds.partition(|(_, codecs)| is_plain(codecs));
    let names = |sounds: &[&(RenditionName, &str)]| sounds.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let (plain, rare) = (names(&plain), names(&rare));
    let is_greatest = tracks.iter().map(|(name, _)| *name).max() == Some(picture);
    let own = rare.iter().max().filter(|_| is_greatest || plain.is_empty());
    own.copied().into_iter().chain(picture.sound_of(&plain)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opus_goes_with_the_picture_that_it_came_with_and_aac_with_all() {
        let check = |tracks: &[(&str, &str)], picture: &str, expected: &[&str]| {
            let tracks: Vec<_> =
                tracks.iter().map(|(name, codecs)| (name.parse().unwrap(), *codecs)).collect();
            let found: Vec<_> =
                sounds_with(picture.parse().unwrap(), &tracks).iter().map(RenditionName::to_string).collect();
            assert_eq!(found, expected, "{picture} of {tracks:?}");
        };
        let pictures = [("144p", "avc1"), ("360p", "avc1"), ("480p", "avc1"), ("720p", "hvc1")];
        let with = |sounds: &[(&'static str, &'static str)]| [&pictures[..], sounds].concat();
        let all = with(&[("a32", "mp4a.40.2"), ("a128", "mp4a.40.2"), ("a160", "opus")]);
        for (picture, expected) in
            [("144p", &["a32"][..]), ("360p", &["a128"]), ("480p", &["a128"]), ("720p", &["a160", "a128"])]
        {
            check(&all, picture, expected);
        }
        check(&[&all[..2], &all[4..]].concat(), "360p", &["a160", "a128"]);
        let changed = with(&[("a32", "mp4a.40.2"), ("a128", "mp4a.40.2"), ("a160", "mp4a.40.2,opus")]);
        check(&changed, "480p", &["a128"]);
        check(&changed, "720p", &["a160", "a128"]);
        let aac = with(&[("a32", "mp4a.40.2"), ("a128", "mp4a.40.2")]);
        check(&aac, "144p", &["a32"]);
        check(&aac, "720p", &["a128"]);
        let opus = with(&[("a160", "opus")]);
        check(&opus, "144p", &["a160"]);
        check(&opus, "720p", &["a160"]);
        check(&with(&[]), "720p", &[]);
    }
}
