//! A row of values in a row of characters.

/// From nothing to the highest value.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A character for each value, as high as it is between 0 and the highest of them; a space
/// where a value is missing. Empty, where all are.
pub fn sparkline(values: &[Option<u64>]) -> String {
    let Some(top) = values.iter().flatten().max() else {
        return String::new();
    };
    let last = LEVELS.len() as u128 - 1;
    values
        .iter()
        .map(|value| {
            let Some(value) = value else { return ' ' };
            let level = u128::from(*value) * last / u128::from(*top).max(1);
            let level = usize::try_from(level).unwrap_or(usize::MAX);
            LEVELS.get(level).copied().unwrap_or('█')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_high_as_they_are() {
        let values = [Some(0), Some(500), None, Some(1_000)];
        assert_eq!(sparkline(&values), "▁▄ █");
        assert_eq!(sparkline(&[Some(0), Some(0)]), "▁▁");
        assert_eq!(sparkline(&[Some(u64::MAX), Some(1)]), "█▁");
        assert_eq!(sparkline(&[None, None]), "");
    }
}
