//! The one portable form of each kind of value: ids and words as text, numbers and moments as
//! `i64`.

use std::str::FromStr;

use model::{Tier, Timestamp};

use crate::CatalogError;
use crate::error::Result;

/// A number as the database keeps it. Whatever is above its range was refused before (limits of
/// an upload) or cannot be reached by counting.
pub(crate) fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// Reads the columns of one row; its errors name the row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) table: &'static str,
    pub(crate) id: &'a str,
}

impl Row<'_> {
    pub(crate) fn word<T: FromStr>(self, column: &'static str, text: &str) -> Result<T> {
        text.parse().map_err(|_| self.unreadable(column))
    }

    pub(crate) fn optional_word<T: FromStr>(
        self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>> {
        text.map(|text| self.word(column, text)).transpose()
    }

    pub(crate) fn number<T: TryFrom<i64>>(self, column: &'static str, value: i64) -> Result<T> {
        value.try_into().map_err(|_| self.unreadable(column))
    }

    pub(crate) fn optional_number<T: TryFrom<i64>>(
        self,
        column: &'static str,
        value: Option<i64>,
    ) -> Result<Option<T>> {
        value.map(|value| self.number(column, value)).transpose()
    }

    pub(crate) fn tier(self, column: &'static str, value: i64) -> Result<Tier> {
        self.number::<u8>(column, value)?.try_into().map_err(|_| self.unreadable(column))
    }

    pub(crate) fn required<T>(self, column: &'static str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.unreadable(column))
    }

    pub(crate) fn unreadable(self, column: &'static str) -> CatalogError {
        CatalogError::Row { table: self.table, id: self.id.to_owned(), column }
    }
}

pub(crate) fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}
