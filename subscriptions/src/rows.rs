//! Values in rows: ids and words as text, times as milliseconds, numbers as what both engines
//! have. Reading is checked; the error names table, column and row.

use std::str::FromStr;

use model::{Tier, Timestamp};

use crate::{Result, SubscriptionsError};

/// One row, for error messages.
#[derive(Clone, Copy)]
pub(crate) struct RowName<'a> {
    pub(crate) table: &'static str,
    pub(crate) id: &'a str,
}

impl RowName<'_> {
    fn invalid(self, column: &'static str) -> SubscriptionsError {
        SubscriptionsError::Row { table: self.table, column, id: self.id.to_owned() }
    }

    /// An id or a word.
    pub(crate) fn word<T: FromStr>(self, column: &'static str, text: &str) -> Result<T> {
        text.parse().map_err(|_| self.invalid(column))
    }

    /// A number of a smaller type.
    pub(crate) fn number<T, N: TryInto<T>>(self, column: &'static str, number: N) -> Result<T> {
        number.try_into().map_err(|_| self.invalid(column))
    }

    /// A tier.
    pub(crate) fn tier(self, number: i32) -> Result<Tier> {
        let number: u8 = self.number("tier", number)?;
        Tier::try_from(number).map_err(|_| self.invalid("tier"))
    }
}

/// A moment that may be absent.
pub(crate) fn moment(ms: Option<i64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_millis)
}
