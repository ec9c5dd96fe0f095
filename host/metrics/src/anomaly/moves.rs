//! Which moves followed each other.

use super::surprise::Surprise;

/// Borders between the eight kinds of move, in usual deviations from the recent mean: from
/// "far below" through "hardly moved" to "extremely high".
const BORDERS: [f32; 7] = [-4.0, -1.5, -0.3, 0.3, 1.5, 4.0, 10.0];

/// Eight kinds to the power of three moves in a row, one bit for each combination.
const COMBINATIONS: usize = 512;
const WORDS: usize = COMBINATIONS / 64;

/// The kind "hardly moved": what is assumed before the first sample.
const STILL: u16 = 3;

/// Remembers which three moves in a row have occurred. A new combination counts even when no
/// single value is new: an oscillation, a spike of an unusual shape, a pattern that breaks off.
#[derive(Debug, Clone)]
pub(crate) struct Moves {
    current: [u64; WORDS],
    previous: [u64; WORDS],
    /// The last two kinds, three bits each, the newest lowest.
    recent: u16,
    surprise: Surprise,
}

impl Default for Moves {
    fn default() -> Self {
        Self {
            current: [0; WORDS],
            previous: [0; WORDS],
            recent: STILL << 3 | STILL,
            surprise: Surprise::default(),
        }
    }
}

impl Moves {
    /// Surprise at a sample `deviations` usual deviations away from the recent mean, after the
    /// two samples before it.
    pub(crate) fn judge(&mut self, deviations: f32, weight: f32) -> f32 {
        let kind = BORDERS.iter().filter(|b| deviations >= **b).count() as u16;
        let combination = (self.recent << 3 | kind) & 0x1ff;
        self.recent = combination & 0x3f;
        let (word, bit) = (usize::from(combination / 64), 1_u64 << (combination % 64));
        let known = self.previous.get(word).is_some_and(|w| w & bit != 0);
        let Some(current) = self.current.get_mut(word) else {
            return 0.0;
        };
        let is_new = !known && *current & bit == 0;
        *current |= bit;
        self.surprise.of_new(is_new, weight)
    }

    /// Begins a new block of memory and forgets the one before the current.
    pub(crate) fn next_block(&mut self) {
        self.previous = std::mem::take(&mut self.current);
    }
}

#[cfg(test)]
mod tests {
    use super::super::surprise::rate_weight;
    use super::*;

    #[test]
    fn a_repeated_pattern_is_known_and_a_broken_one_is_new() {
        let mut moves = Moves::default();
        let pattern = [0.0, 2.0, -2.0];
        for i in 0..300 {
            moves.judge(pattern[i as usize % 3], rate_weight(i));
        }
        assert_eq!(moves.judge(0.0, 0.003), 0.0);
        assert!(moves.judge(-2.0, 0.003) > 1.5);
    }

    #[test]
    fn a_combination_is_forgotten_after_two_blocks() {
        let mut moves = Moves::default();
        let three = |moves: &mut Moves| {
            moves.judge(0.0, 0.01);
            moves.judge(0.0, 0.01);
            moves.judge(20.0, 0.01)
        };
        three(&mut moves);
        moves.next_block();
        assert_eq!(three(&mut moves), 0.0);
        moves.next_block();
        moves.next_block();
        assert!(three(&mut moves) > 0.0);
    }
}
