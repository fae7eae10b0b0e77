use std::fmt::Display;
use std::str::FromStr;

use model::Timestamp;

use crate::CatalogError;
use crate::error::Result;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many items, 1 to 100; other numbers become the nearest of these.
    pub limit: u32,
    /// The `next` of the page before; `None` for the first page.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: 24, cursor: None }
    }
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the page after this one; `None` at the end.
    pub next: Option<String>,
}

impl Page {
    pub(crate) fn rows(&self) -> usize {
        self.limit.clamp(1, 100) as usize
    }

    pub(crate) fn position(&self) -> Result<Option<Position>> {
        self.cursor.as_deref().map(str::parse).transpose()
    }
}

/// A place in a list ordered by (moment, id): stays right when rows come and go before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) at: Timestamp,
    pub(crate) id: String,
}

impl Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{}", self.at.as_millis(), self.id)
    }
}

impl FromStr for Position {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self> {
        let (at, id) = text.split_at_checked(16).ok_or(CatalogError::Cursor)?;
        let at = u64::from_str_radix(at, 16).map_err(|_| CatalogError::Cursor)?;
        // The id is compared, never looked up; but only one of ours can stand here.
        id.parse::<model::VideoId>().map_err(|_| CatalogError::Cursor)?;
        Ok(Self { at: Timestamp::from_millis(at.cast_signed()), id: id.to_owned() })
    }
}

/// Cuts off the row that was read to see whether there are more.
pub(crate) fn cut<T>(
    mut rows: Vec<T>,
    limit: usize,
    position: impl Fn(&T) -> Position,
) -> (Vec<T>, Option<String>) {
    if rows.len() <= limit {
        return (rows, None);
    }
    rows.truncate(limit);
    let next = rows.last().map(|row| position(row).to_string());
    (rows, next)
}

#[cfg(test)]
mod tests {
    use model::VideoId;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back(at: i64, id: u128) {
            let position = Position { at: Timestamp::from_millis(at), id: VideoId::from_bits(id).to_string() };
            prop_assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        }

        #[test]
        fn no_text_breaks_a_cursor(text: String) {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.id.len(), 26);
            }
        }
    }
}
