use std::collections::BTreeSet;

/// Reports of one sender that may be on their way at once, in any order.
const WINDOW: usize = 1024;

/// Which numbers of a sender's reports were counted.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// All up to this one count as counted,
    floor: u64,
    /// and these.
    counted: BTreeSet<u64>,
}

impl Numbers {
    /// Whether a report was counted already, or is so old that it may have been.
    pub(crate) fn has(&self, number: u64) -> bool {
        number <= self.floor || self.counted.contains(&number)
    }

    /// Counts a report.
    pub(crate) fn count(&mut self, number: u64) {
        self.counted.insert(number);
        while self.counted.len() > WINDOW {
            self.floor = self.counted.pop_first().unwrap_or(self.floor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once_in_any_order_and_memory_is_bounded() {
        let mut numbers = Numbers::default();
        assert!(numbers.has(0));
        for number in [3, 1, 2, 5] {
            assert!(!numbers.has(number), "{number}");
            numbers.count(number);
            assert!(numbers.has(number), "{number}");
        }
        assert!(!numbers.has(4));
        (6..5000).for_each(|number| numbers.count(number));
        assert!(numbers.has(4), "too old to be told from one that was counted");
        assert!(numbers.counted.len() <= WINDOW && !numbers.has(5000));
    }
}
