//! Two sides in turn.

/// Runs one side, then the other; each pair the other way round than the one before.
pub(crate) fn in_turn<A, B>(
    pair: u32,
    ours: impl FnOnce() -> anyhow::Result<A>,
    theirs: impl FnOnce() -> anyhow::Result<B>,
) -> anyhow::Result<(A, B)> {
    if pair.is_multiple_of(2) {
        let ours = ours()?;
        Ok((ours, theirs()?))
    } else {
        let theirs = theirs()?;
        Ok((ours()?, theirs))
    }
}
