//! The values of all series in one minute, as one piece.

use crate::codec::{decode, encode, put, take};

/// Appends a series to a block. Series come in the order of their numbers; `before` is that
/// of the one before, 0 for the first.
pub fn append(before: u32, series: u32, values: &[Option<u64>], block: &mut Vec<u8>) {
    put(u128::from(series.saturating_sub(before)), block);
    encode(values, block);
}

/// The series of a block of `slots` values each.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    rest: &'a [u8],
    series: u32,
    slots: usize,
}

impl<'a> Block<'a> {
    /// Reads it from its beginning.
    pub fn new(block: &'a [u8], slots: usize) -> Self {
        Self {
            rest: block,
            series: 0,
            slots,
        }
    }
}

impl Iterator for Block<'_> {
    type Item = (u32, Vec<Option<u64>>);

    /// Ends where the block does, or where it is damaged.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let more = u32::try_from(take(&mut self.rest)?).ok()?;
        self.series = self.series.checked_add(more)?;
        let Some(values) = decode(&mut self.rest, self.slots) else {
            self.rest = &[];
            return None;
        };
        Some((self.series, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_all_its_series() {
        let mut block = Vec::new();
        let series = [
            (3, [Some(1), None]),
            (4, [Some(9), Some(9)]),
            (90, [None, None]),
        ];
        let mut before = 0;
        for (number, values) in &series {
            append(before, *number, values, &mut block);
            before = *number;
        }
        let read: Vec<_> = Block::new(&block, 2).collect();
        let expected: Vec<_> = series
            .iter()
            .map(|(number, values)| (*number, values.to_vec()))
            .collect();
        assert_eq!(read, expected);
        let cut = block.len() - 1;
        assert_eq!(Block::new(&block[..cut], 2).count(), 2);
    }
}
