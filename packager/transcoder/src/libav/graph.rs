use ffmpeg_next::filter::{self, Context, Graph};
use ffmpeg_next::{Error, Frame};

/// A filter graph with one way in and one way out.
///
/// The contexts belong to the graph, so they live in one value with it and never leave it; the
/// whole is used by one thread at a time.
pub(crate) struct Chain {
    source: Context,
    sink: Context,
    /// Dropped last: frees both contexts.
    _graph: Graph,
}

// SAFETY: the contexts are pointers into the graph beside them, which may move between threads;
// `Chain` is not `Sync` and hands out no reference to either.
unsafe impl Send for Chain {}

/// The kind of media that goes through a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Medium {
    Picture,
    Sound,
}

impl Chain {
    /// A chain of `filters` behind a source with these `arguments`. Both texts are built from
    /// numbers and words of this program, never from anything in a file.
    pub(crate) fn new(medium: Medium, arguments: &str, filters: &str, threads: i32) -> Result<Self, Error> {
        let (source, sink) = match medium {
            Medium::Picture => ("buffer", "buffersink"),
            Medium::Sound => ("abuffer", "abuffersink"),
        };
        let find = |name| filter::find(name).ok_or(Error::FilterNotFound);
        let mut graph = Graph::new();
        // SAFETY: the graph is valid and has no filters yet, which is when this may be set.
        unsafe { (*graph.as_mut_ptr()).nb_threads = threads };
        let source = graph.add(&find(source)?, "in", arguments)?;
        let sink = graph.add(&find(sink)?, "out", "")?;
        // libav names the ends from outside: the open output of what comes before is "in".
        graph.output("in", 0)?.input("out", 0)?.parse(filters)?;
        graph.validate()?;
        Ok(Self { source, sink, _graph: graph })
    }

    /// Puts a frame in; its references are taken over.
    pub(crate) fn put(&mut self, frame: &mut Frame) -> Result<(), Error> {
        self.source.source().add(frame)
    }

    /// Says that no more frames come.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.source.source().flush()
    }

    /// Takes the next frame out, if there is one yet.
    pub(crate) fn take(&mut self, frame: &mut Frame) -> Result<bool, Error> {
        match self.sink.sink().frame(frame) {
            Ok(()) => Ok(true),
            Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Seconds of one tick of the frames that come out, as numerator and denominator.
    pub(crate) fn time_base(&mut self) -> (i32, i32) {
        let base = self.sink.sink().time_base();
        (base.numerator(), base.denominator())
    }
}
