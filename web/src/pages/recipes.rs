//! Ready-made settings for encoders.

use listener::Language;

use super::text::say;

/// How a program is told to publish.
pub(crate) struct Recipe {
    /// The program's name.
    pub(crate) title: String,
    /// What to do, where it is not a command.
    pub(crate) sentence: String,
    /// A command line, ready to be run.
    pub(crate) command: Option<String>,
}

/// How to publish to `server` with `key`. Both stand in single quotes in shells: neither can hold one.
pub(crate) fn recipes(server: &str, key: &str, language: Language) -> Vec<Recipe> {
    let address = format!("{server}/{key}");
    let recipe = |name: &str, command: Option<String>| Recipe {
        title: say(language, &format!("recipe_{name}")).to_owned(),
        sentence: say(language, &format!("recipe_{name}_how")).to_owned(),
        command,
    };
    // A key frame every 2 s whatever the frame rate, none in between, and no frames of the future.
    let encode = "-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -b:v 2500k -maxrate 2500k \
                  -bufsize 2500k -force_key_frames 'expr:gte(t,n_forced*2)' -sc_threshold 0 \
                  -c:a aac -b:a 128k -ar 48000 -ac 2 -f flv";
    let test =
        "-re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000";
    vec![
        recipe("obs", None),
        recipe("larix", None),
        recipe("ffmpeg", Some(format!("ffmpeg -re -i video.mp4 {encode} '{address}'"))),
        recipe("test", Some(format!("ffmpeg {test} {encode} '{address}'"))),
        recipe(
            "gstreamer",
            Some(format!(
                "gst-launch-1.0 -e flvmux name=mux streamable=true ! rtmp2sink location='{address}' \
                 videotestsrc is-live=true ! video/x-raw,width=1280,height=720,framerate=30/1 ! videoconvert ! \
                 x264enc tune=zerolatency speed-preset=veryfast bitrate=2500 key-int-max=60 \
                 option-string=scenecut=0 ! video/x-h264,profile=main ! h264parse ! queue ! mux. \
                 audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! audioconvert ! avenc_aac ! \
                 aacparse ! queue ! mux."
            )),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_that_ends_in_the_address() {
        for language in [Language::Es, Language::En] {
            let all = recipes("rtmp://cocuyo.example/live", "k3y", language);
            assert_eq!(all.iter().filter(|recipe| recipe.command.is_some()).count(), 3);
            for recipe in all {
                assert!(!recipe.title.starts_with("recipe_") && !recipe.sentence.starts_with("recipe_"));
                let Some(command) = recipe.command else { continue };
                assert!(command.contains("'rtmp://cocuyo.example/live/k3y'"), "{command}");
                assert!(!command.contains('\n') && !command.contains("  "), "{command}");
                assert_eq!(command.matches('\'').count() % 2, 0, "{command}");
            }
        }
    }
}
