//! Bytes and choices that look random and are the same every time.

/// Xorshift64.
pub(super) struct Noise(u64);

impl Noise {
    /// The one and only sequence.
    pub(super) const fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next so many bytes, which nothing compresses.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// In another order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }

    /// `len` choices among `things` things, of which the first is the favourite: each is chosen in
    /// proportion to its rank to the power of -0.9, as viewers do (Zipf).
    pub(super) fn zipf(&mut self, things: usize, len: usize) -> Vec<usize> {
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=things)
            .map(|rank| {
                sum += (rank as f64).powf(-0.9);
                sum
            })
            .collect();
        let mut choose = || {
            let at = (self.next() >> 11) as f64 / (1u64 << 53) as f64 * sum;
            sums.partition_point(|&upto| upto <= at).min(things - 1)
        };
        (0..len).map(|_| choose()).collect()
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap_or(0) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_favourite_comes_most_often_and_all_come() {
        let order = Noise::new().zipf(50, 4096);
        let times = |thing| order.iter().filter(|&&chosen| chosen == thing).count();
        assert!(times(0) > 4 * times(10) && times(10) > times(49) && times(49) > 0);
        assert!(order.iter().all(|&thing| thing < 50));
        let mut things: Vec<usize> = (0..50).collect();
        Noise::new().shuffle(&mut things);
        assert_ne!(things, (0..50).collect::<Vec<_>>());
        things.sort_unstable();
        assert_eq!(things, (0..50).collect::<Vec<_>>());
    }
}
