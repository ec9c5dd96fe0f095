//! Numbers of payment cards.

use std::ops::Range;

/// The numbers of cards in a text: 13 to 19 digits, together or in groups of
/// four (of 4, 6 and 5), that begin as an issuer's do and end with the right check
/// digit (ISO/IEC 7812).
pub(crate) fn numbers(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if !byte.is_ascii_digit() {
            at += 1;
            continue;
        }
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let run = Run::at(bytes, at);
        let after = bytes.get(run.end);
        // Part of a longer name or number: an id, a time, a version.
        let stands_alone = before
            .is_none_or(|b| !b.is_ascii_alphanumeric() && !b"-_./#".contains(b))
            && after.is_none_or(|b| !b.is_ascii_alphanumeric() && !b"-_".contains(b));
        if stands_alone && run.is_grouped_as_a_card() && is_card(&run.digits) {
            found.push(at..run.end);
        }
        at = run.end;
    }
    found
}

/// Digits in a row, with one space or `-` between groups of them.
struct Run {
    digits: Vec<u8>,
    groups: Vec<usize>,
    end: usize,
}

impl Run {
    fn at(bytes: &[u8], start: usize) -> Self {
        let mut run = Self {
            digits: Vec::new(),
            groups: Vec::new(),
            end: start,
        };
        let mut at = start;
        let mut separator = None;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            if length == 0 {
                break;
            }
            run.digits
                .extend(rest.iter().take(length).map(|digit| digit - b'0'));
            run.groups.push(length);
            at += length;
            run.end = at;
            match bytes.get(at) {
                Some(sign @ (b' ' | b'-')) if separator.is_none_or(|known| known == *sign) => {
                    separator = Some(*sign);
                    at += 1;
                }
                _ => break,
            }
        }
        run
    }

    fn is_grouped_as_a_card(&self) -> bool {
        match self.groups.as_slice() {
            [_] => true,
            [4, 6, 5] => true,
            [rest @ .., last] => {
                rest.len() >= 3 && rest.iter().all(|group| *group == 4) && *last <= 4
            }
            [] => false,
        }
    }
}

fn is_card(digits: &[u8]) -> bool {
    let number = |places: usize| {
        digits
            .iter()
            .take(places)
            .fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let issued = match digits.len() {
        13 | 19 => number(1) == 4,
        14 => matches!(number(2), 36 | 38 | 39) || matches!(number(3), 300..=305),
        15 => matches!(number(2), 34 | 37),
        16 => {
            number(1) == 4
                || matches!(number(2), 51..=55 | 65)
                || matches!(number(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(number(3), 644..=649)
        }
        _ => false,
    };
    issued && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            match place % 2 {
                0 => digit,
                _ if digit > 4 => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::visa("card 4111111111111111 declined", 1)]
    #[case::grouped("card 4111 1111 1111 1111 declined", 1)]
    #[case::dashed("pan=5500-0000-0000-0004", 1)]
    #[case::amex("3782 822463 10005", 1)]
    #[case::wrong_check_digit("4111111111111112", 0)]
    #[case::a_time_in_microseconds("1764403200123456", 0)]
    #[case::part_of_an_id("req-4111111111111111", 0)]
    #[case::a_longer_number("41111111111111110000", 0)]
    #[case::other_groups("411 1111 1111 11111", 0)]
    #[case::no_issuer("9999999999999995", 0)]
    fn cards(#[case] text: &str, #[case] expected: usize) {
        assert_eq!(numbers(text).len(), expected, "{text}");
    }
}
