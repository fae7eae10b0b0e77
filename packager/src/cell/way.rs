//! The right of way among the cells of a process: while a film's first pictures are made, cells
//! whose work can wait stand still. Niceness alone leaves them, and the storing of what they make,
//! a third of two cores.

use tokio::sync::watch;

/// How many cells go first at this moment.
#[derive(Debug, Clone)]
pub(crate) struct RightOfWay(watch::Sender<usize>);

/// What a cell does about the others.
#[derive(Debug)]
pub(crate) enum Way {
    /// Others stand still for it.
    First(#[expect(dead_code, reason = "what counts is when it is dropped")] Precedence),
    /// It stands still while any goes first.
    Gives(watch::Receiver<usize>),
    /// Neither.
    Own,
}

/// One cell that goes first, for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Precedence(watch::Sender<usize>);

impl RightOfWay {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// For a cell that goes first from now on.
    pub(crate) fn first(&self) -> Way {
        self.0.send_modify(|first| *first += 1);
        Way::First(Precedence(self.0.clone()))
    }

    /// For a cell that lets others go first.
    pub(crate) fn gives(&self) -> Way {
        Way::Gives(self.0.subscribe())
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        self.0.send_modify(|first| *first -= 1);
    }
}

impl Way {
    /// Whether the cell has to stand still now.
    pub(crate) fn is_barred(&self) -> bool {
        matches!(self, Self::Gives(first) if *first.borrow() > 0)
    }

    /// Waits until that may have changed.
    pub(crate) async fn changed(&mut self) {
        // An error says that nobody is left who could go first.
        if let Self::Gives(first) = self
            && first.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}
