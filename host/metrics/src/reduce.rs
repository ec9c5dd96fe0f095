//! Several values as one: what is kept of a minute, and of a quarter of an hour.

use crate::codec::{decode, encode};

/// What is kept of several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduced {
    pub mean: u64,
    pub min: u64,
    pub max: u64,
}

impl From<u64> for Reduced {
    fn from(value: u64) -> Self {
        Self {
            mean: value,
            min: value,
            max: value,
        }
    }
}

/// What is kept of these; nothing of nothing. What is missing is left out, not taken for 0.
pub fn reduce(values: impl IntoIterator<Item = Reduced>) -> Option<Reduced> {
    let mut count = 0_u128;
    let mut sum = 0_u128;
    let mut reduced: Option<Reduced> = None;
    for value in values {
        count += 1;
        sum += u128::from(value.mean);
        reduced = Some(match reduced {
            None => value,
            Some(so_far) => Reduced {
                min: so_far.min.min(value.min),
                max: so_far.max.max(value.max),
                ..so_far
            },
        });
    }
    let mean = u64::try_from(sum.checked_div(count)?).ok()?;
    reduced.map(|reduced| Reduced { mean, ..reduced })
}

/// Each `size` values as one; the last may be of fewer.
pub fn reduce_each(values: &[Option<Reduced>], size: usize) -> Vec<Option<Reduced>> {
    values
        .chunks(size.max(1))
        .map(|chunk| reduce(chunk.iter().copied().flatten()))
        .collect()
}

/// Appends a row of them: means, and how far below and above them it went.
pub fn encode_reduced(values: &[Option<Reduced>], out: &mut Vec<u8>) {
    let means: Vec<Option<u64>> = values.iter().map(|it| it.map(|it| it.mean)).collect();
    encode(&means, out);
    let there = values.iter().copied().flatten();
    let below: Vec<Option<u64>> = there
        .clone()
        .map(|it| Some(it.mean.saturating_sub(it.min)))
        .collect();
    encode(&below, out);
    let above: Vec<Option<u64>> = there
        .map(|it| Some(it.max.saturating_sub(it.mean)))
        .collect();
    encode(&above, out);
}

/// Reads `count` of them; `None` where that is not what [`encode_reduced`] has written.
pub fn decode_reduced(mut input: &[u8], count: usize) -> Option<Vec<Option<Reduced>>> {
    let means = decode(&mut input, count)?;
    let there = means.iter().flatten().count();
    let mut below = decode(&mut input, there)?.into_iter();
    let mut above = decode(&mut input, there)?.into_iter();
    means
        .into_iter()
        .map(|mean| {
            let Some(mean) = mean else { return Some(None) };
            let (below, above) = (below.next()??, above.next()??);
            Some(Some(Reduced {
                mean,
                min: mean.saturating_sub(below),
                max: mean.saturating_add(above),
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_counts_for_nothing() {
        let values: Vec<Option<Reduced>> = [Some(10), None, Some(30), None, None, None, Some(7)]
            .map(|value: Option<u64>| value.map(Reduced::from))
            .to_vec();
        let reduced = reduce_each(&values, 3);
        let first = Reduced {
            mean: 20,
            min: 10,
            max: 30,
        };
        assert_eq!(reduced, [Some(first), None, Some(Reduced::from(7))]);
        let mut bytes = Vec::new();
        encode_reduced(&reduced, &mut bytes);
        assert_eq!(decode_reduced(&bytes, 3).unwrap(), reduced);
        assert_eq!(decode_reduced(&bytes[..2], 3), None);
    }

    #[test]
    fn a_mean_of_large_numbers_is_right() {
        let values = [u64::MAX, u64::MAX - 2].map(Reduced::from);
        assert_eq!(reduce(values).unwrap().mean, u64::MAX - 1);
    }
}
