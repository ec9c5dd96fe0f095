//! Secrets that are known by their form.
//!
//! One pass over the text finds the keywords of the rules; only where one stands
//! is its rule's expression compiled, once, and asked about the text around it. So
//! a process that redacts nothing pays nothing, and one that redacts ordinary lines
//! holds hardly an expression.

mod table;

use std::{
    ops::Range,
    sync::{LazyLock, OnceLock},
};

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};

use self::table::{FURTHER, INSIDE, NAMED, TOKENS};

/// So far behind its keyword a rule looks.
const FORWARD: usize = 700;

/// So far before its keyword a rule looks whose keyword stands inside.
const BACK: usize = 48;

/// Bits for each character that a value drawn by chance has at least; only such a
/// value counts where nothing but a service's name announces it.
const ENTROPY: f64 = 3.0;

/// Where a rule's keyword stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the beginning of what the expression fits.
    Begin,
    Inside,
    /// It names a service; the expression is the form of a value behind it.
    Named,
}

/// What a secret of one kind looks like.
struct Rule {
    /// Its name, for whoever mends the table.
    #[allow(dead_code, reason = "compared with gitleaks' by people and by a test")]
    id: &'static str,
    at: At,
    keywords: &'static [&'static str],
    /// Its first group is the secret, or all of it where there is none.
    expression: &'static str,
}

impl Rule {
    /// Whether upper and lower case are the same to it.
    fn is_caseless(&self) -> bool {
        self.at == At::Named || self.expression.starts_with("(?i)")
    }

    fn compile(&self) -> Option<Regex> {
        let expression = match self.at {
            At::Begin => format!("^(?:{})", self.expression),
            At::Inside => self.expression.to_owned(),
            // gitleaks' frame for such values: what may stand between a name and
            // its value, and what ends the value.
            At::Named => format!(
                "(?i)^[a-z_-]+[ \\t\\w.-]{{0,20}}[\\s'\"]{{0,3}}(?:=|>|:{{1,3}}=|\\|\\||:|=>|\\?=|,)\
                 [`'\"\\s=]{{0,5}}({})(?:[`'\"\\s;,&)\\]}}]|\\\\[nr]|$)",
                self.expression
            ),
        };
        // Without Unicode's tables: what is looked for is ASCII.
        RegexBuilder::new(&expression).unicode(false).build().ok()
    }
}

/// Finds the keywords of all rules.
struct Finder {
    keywords: AhoCorasick,
    /// The rule and the keyword of each pattern.
    owners: Vec<(&'static Rule, &'static str, usize)>,
    compiled: Vec<OnceLock<Option<Regex>>>,
}

impl Finder {
    fn new() -> Option<Self> {
        let rules = [TOKENS, INSIDE, NAMED, FURTHER].into_iter().flatten();
        let owners: Vec<(&Rule, &str, usize)> = rules
            .enumerate()
            .flat_map(|(place, rule)| rule.keywords.iter().map(move |word| (rule, *word, place)))
            .collect();
        let count = owners.last().map_or(0, |(.., place)| place + 1);
        Some(Self {
            keywords: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(owners.iter().map(|(_, word, _)| word))
                .ok()?,
            owners,
            compiled: (0..count).map(|_| OnceLock::new()).collect(),
        })
    }

    /// The secret of the rule whose keyword stands at `found`.
    fn secret(&self, text: &[u8], pattern: usize, found: Range<usize>) -> Option<Range<usize>> {
        let (rule, keyword, place) = self.owners.get(pattern)?;
        if !rule.is_caseless() && text.get(found.clone())? != keyword.as_bytes() {
            return None;
        }
        let before = found.start.checked_sub(1).and_then(|at| text.get(at));
        let in_a_word = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
            && before.is_some_and(u8::is_ascii_alphanumeric);
        if rule.at == At::Begin && in_a_word {
            return None;
        }
        let start = match rule.at {
            At::Inside => found.start.saturating_sub(BACK),
            At::Begin | At::Named => found.start,
        };
        let window = text.get(start..text.len().min(found.end + FORWARD))?;
        let expression = self
            .compiled
            .get(*place)?
            .get_or_init(|| rule.compile())
            .as_ref()?;
        let captures = expression.captures(window)?;
        let secret = captures.get(1).or_else(|| captures.get(0))?;
        if rule.at == At::Named && !is_drawn_by_chance(secret.as_bytes()) {
            return None;
        }
        let end = start + secret.end();
        // A token that is longer than its rule has it is not shown by half.
        let more = match rule.at {
            At::Named => 0,
            At::Begin | At::Inside => text
                .get(end..)?
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || b"_-".contains(b))
                .count(),
        };
        Some(start + secret.start()..end + more)
    }
}

static FINDER: LazyLock<Option<Finder>> = LazyLock::new(Finder::new);

/// See [`prepare`](crate::prepare).
pub(crate) fn prepare() {
    LazyLock::force(&FINDER);
}

/// The secrets in a text, as far as rules know them.
pub(crate) fn secrets(text: &str) -> Vec<Range<usize>> {
    let Some(finder) = FINDER.as_ref() else {
        return Vec::new();
    };
    let bytes = text.as_bytes();
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut until = 0;
    for keyword in finder.keywords.find_overlapping_iter(bytes) {
        // Within one that was found already.
        if keyword.end() <= until {
            continue;
        }
        let pattern = keyword.pattern().as_usize();
        if let Some(secret) = finder.secret(bytes, pattern, keyword.range())
            && let Some(secret) = whole_characters(text, secret)
        {
            until = until.max(secret.end);
            found.push(secret);
        }
    }
    found
}

/// The same, widened so that no character is cut in half.
fn whole_characters(text: &str, mut part: Range<usize>) -> Option<Range<usize>> {
    while !text.is_char_boundary(part.start) {
        part.start = part.start.checked_sub(1)?;
    }
    while part.end < text.len() && !text.is_char_boundary(part.end) {
        part.end += 1;
    }
    (!part.is_empty()).then_some(part)
}

/// Whether a value has a digit, and about as many different characters as one that
/// was drawn by chance (Shannon's entropy).
fn is_drawn_by_chance(value: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum();
    value.iter().any(u8::is_ascii_digit) && entropy >= ENTROPY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_well_formed() {
        let mut ids = Vec::new();
        for rule in [TOKENS, INSIDE, NAMED, FURTHER].into_iter().flatten() {
            assert!(rule.compile().is_some(), "{}: {}", rule.id, rule.expression);
            assert!(!ids.contains(&rule.id), "{} is there twice", rule.id);
            ids.push(rule.id);
        }
        assert!(ids.len() >= 200, "{}", ids.len());
    }
}
