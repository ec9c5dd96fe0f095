//! Values of one metric in few bytes.
//!
//! A value is written as its difference to the one before, as an integer of as many bytes as
//! it needs; several that are the same, or missing, are counted. A metric that hardly moves
//! takes next to nothing, one that moves by less than 32 takes a byte a value.
//!
//! Chunks are small (the six values of a minute, the sixty of an hour), so there is no
//! header: the number of values is known to whoever reads. That is why no library for columns
//! of numbers is used here: `pco`, the best of them, begins each chunk with more bytes than
//! such a chunk has in all (docs/metrics.md has the figures).

/// Appends values. [`decode`] needs to be told how many they were.
pub fn encode(values: &[Option<u64>], out: &mut Vec<u8>) {
    let mut before = 0_u64;
    let mut rest = values;
    while let Some((&first, _)) = rest.split_first() {
        let same = match first {
            Some(value) => value == before,
            None => true,
        };
        let run = rest.iter().take_while(|value| **value == first).count();
        let taken = match first {
            Some(value) if !same => {
                // The difference goes around the end of the range, and back.
                let difference = value.wrapping_sub(before).cast_signed();
                put(u128::from(zigzag(difference)) << 1, out);
                before = value;
                1
            }
            _ => {
                let is_gap = u128::from(first.is_none());
                put((run as u128) << 2 | is_gap << 1 | 1, out);
                run
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
}

/// Reads `count` values from the beginning of `input`, which then begins behind them; `None`
/// where that is not what [`encode`] has written.
pub fn decode(input: &mut &[u8], count: usize) -> Option<Vec<Option<u64>>> {
    let mut values = Vec::with_capacity(count);
    let mut before = 0_u64;
    while values.len() < count {
        let token = take(input)?;
        if token & 1 == 0 {
            let difference = unzigzag(u64::try_from(token >> 1).ok()?);
            before = before.wrapping_add(difference.cast_unsigned());
            values.push(Some(before));
        } else {
            let run = usize::try_from(token >> 2).ok()?;
            if run == 0 || run > count - values.len() {
                return None;
            }
            let value = (token & 2 == 0).then_some(before);
            values.resize(values.len() + run, value);
        }
    }
    Some(values)
}

/// Small differences of either sign as small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Seven bits in each byte, the lowest first; the eighth says that more follow.
pub(crate) fn put(mut number: u128, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn take(input: &mut &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for shift in (0..=63).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        number |= u128::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(values: &[Option<u64>]) -> usize {
        let mut bytes = Vec::new();
        encode(values, &mut bytes);
        let size = bytes.len();
        bytes.push(7);
        let mut input = bytes.as_slice();
        assert_eq!(decode(&mut input, values.len()).unwrap(), values);
        assert_eq!(input, [7], "it stops where it ends");
        size
    }

    #[test]
    fn whatever_is_written_is_read() {
        assert_eq!(there_and_back(&[]), 0);
        assert_eq!(there_and_back(&[Some(0); 60]), 2);
        assert_eq!(there_and_back(&[None; 60]), 2);
        assert_eq!(
            there_and_back(&[Some(40), Some(41), None, None, Some(30)]),
            5
        );
        there_and_back(&[Some(u64::MAX), Some(0), None, Some(u64::MAX), Some(1 << 63)]);
        let mut state = 1_u64;
        for _ in 0..200 {
            let values: Vec<Option<u64>> = (0..60)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 61 != 0).then_some(state >> (state >> 58))
                })
                .collect();
            there_and_back(&values);
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for bytes in [&[][..], &[0x80], &[0xff; 30], &[1], &[0b1111_1111, 0x7f]] {
            assert_eq!(decode(&mut &*bytes, 3), None, "{bytes:?}");
        }
    }
}
