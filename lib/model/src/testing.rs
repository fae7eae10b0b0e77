//! What tests of parsers in several crates make their hostile input with.

/// Calls `read` with `count` damaged copies of `bytes`: flipped bits, other numbers, parts cut out,
/// doubled or lost. The same every time.
pub fn mutants(bytes: &[u8], count: u32, mut read: impl FnMut(&[u8])) {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ bytes.len() as u64;
    let mut next = |limit: usize| {
        // xorshift64*
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    };
    for _ in 0..count {
        let mut mutant = bytes.to_vec();
        for _ in 0..=next(3) {
            let at = next(mutant.len());
            let len = next(24).min(mutant.len() - at);
            match next(6) {
                0 if !mutant.is_empty() => mutant[at] ^= 1 << next(8),
                1 if !mutant.is_empty() => mutant[at] = [0, 1, 0x7f, 0x80, 0xff][next(5)],
                2 if at + 4 <= mutant.len() => {
                    let number = [0u32, 1, 7, 8, 0x7fff_ffff, 0x8000_0000, u32::MAX][next(7)];
                    mutant[at..at + 4].copy_from_slice(&number.to_be_bytes());
                }
                3 => drop(mutant.drain(at..at + len)),
                4 => {
                    let part = mutant[at..at + len].to_vec();
                    mutant.splice(at..at, part);
                }
                _ => mutant.truncate(at),
            }
        }
        read(&mutant);
    }
}
