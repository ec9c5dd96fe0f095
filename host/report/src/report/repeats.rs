//! Says once what was done several times.

use super::{Attempt, Line, Tried, words};

/// The longest group of steps whose repetition is looked for.
const LONGEST: usize = 12;

/// Steps of which those that follow themselves are told once, with a count.
pub(super) fn fold_steps(steps: Vec<Line>) -> Vec<Line> {
    let mut folded = Vec::with_capacity(steps.len());
    let mut rest = steps.as_slice();
    while let Some(first) = rest.first() {
        let (length, times) = (1..=LONGEST.min(rest.len() / 2))
            .map(|length| (length, repeats(rest, length)))
            .find(|(_, times)| *times > 1)
            .unwrap_or((1, 1));
        let (all, after) = rest.split_at_checked(length * times).unwrap_or((rest, &[]));
        let count = u32::try_from(times).unwrap_or(u32::MAX);
        let last = all.last().unwrap_or(first);
        if times == 1 {
            folded.push(first.clone());
        } else if length == 1 {
            folded.push(Line {
                text: format!("{} ({count} times, until {})", first.text, last.when),
                times: count,
                ..first.clone()
            });
        } else {
            folded.extend(all.iter().take(length).cloned());
            let again = format!(
                "the same {length} steps {} more, until {}",
                words::times(count - 1),
                last.when
            );
            let begin = all.get(length).unwrap_or(first);
            folded.push(Line {
                text: again,
                times: count - 1,
                key: format!("again {length}"),
                mark: last.mark,
                ..begin.clone()
            });
        }
        rest = after;
    }
    folded
}

/// How many times the first `length` steps stand one after the other.
fn repeats(steps: &[Line], length: usize) -> usize {
    let mut groups = steps.chunks_exact(length);
    let Some(first) = groups.next() else {
        return 1;
    };
    1 + groups
        .take_while(|group| group.iter().zip(first).all(|(a, b)| a.is_like(b)))
        .count()
}

/// Attempts of which those that went like the one before are told once; `what` is the word
/// for one of them.
pub(super) fn fold_attempts(attempts: Vec<Attempt>, what: &str) -> Vec<Attempt> {
    let mut folded: Vec<Attempt> = Vec::new();
    for attempt in attempts {
        match folded.last_mut() {
            Some(before) if before.is_like(&attempt) => {
                before.last = attempt.last;
                before.ended = attempt.ended;
                let at = attempt.steps.last().map_or("", |line| line.when.as_str());
                before.words = format!(
                    "{what}s {} to {}, identical, until {at}",
                    before.first, before.last
                );
            }
            _ => folded.push(attempt),
        }
    }
    folded
}

/// Each result of a strategy once.
pub(super) fn fold_tried(tried: Vec<Tried>) -> Vec<Tried> {
    let mut folded: Vec<Tried> = Vec::new();
    for tried in tried {
        match folded
            .iter_mut()
            .find(|known| known.strategy == tried.strategy && known.result == tried.result)
        {
            Some(known) => {
                known.times += 1;
                known.attempt = tried.attempt;
            }
            None => folded.push(tried),
        }
    }
    folded
}

impl Attempt {
    fn is_like(&self, other: &Self) -> bool {
        self.steps.len() == other.steps.len()
            && self
                .steps
                .iter()
                .zip(&other.steps)
                .all(|(a, b)| a.is_like(b))
    }
}

impl Line {
    fn is_like(&self, other: &Self) -> bool {
        self.mark == other.mark && self.key == other.key
    }
}
