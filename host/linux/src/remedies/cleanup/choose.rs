//! What of a cleanup's files may go.

use prunella_core::Timestamp;

use super::{
    in_use::{InUse, Use},
    walk::Found,
};

/// What the operator said.
pub(super) struct Wanted {
    /// Those used after that stay.
    pub(super) not_after: Timestamp,
    /// Whether that is asked for.
    pub(super) has_age: bool,
    pub(super) keep_newest: u32,
    pub(super) at_most: Option<u64>,
    /// Whether logs that are open are emptied.
    pub(super) truncate: bool,
}

/// What may go, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) delete: Vec<Found>,
    pub(super) empty: Vec<Found>,
    pub(super) left: Left,
}

/// How many files are left, by the reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    young: u64,
    newest: u64,
    open: u64,
    linked: u64,
    too_much: u64,
}

/// Chooses of what was found.
pub(super) fn choose(mut found: Vec<Found>, in_use: &InUse, wanted: &Wanted) -> Chosen {
    found.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
    let mut chosen = Chosen::default();
    let keep = usize::try_from(wanted.keep_newest).unwrap_or(usize::MAX);
    for (position, file) in found.into_iter().enumerate() {
        let left = &mut chosen.left;
        let is_used = in_use.of(file.id);
        if file.links != 1 {
            // It goes on under its other name, and nothing is gained.
            left.linked += 1;
        } else if is_used == Some(Use::Appended) && wanted.truncate {
            if file.bytes != 0 {
                chosen.empty.push(file);
            }
        } else if is_used.is_some() {
            left.open += 1;
        } else if position < keep {
            left.newest += 1;
        } else if wanted.has_age && file.used > wanted.not_after {
            left.young += 1;
        } else {
            chosen.delete.push(file);
        }
    }
    chosen.delete.reverse();
    // What is emptied is lost with its newest lines: the fewer files the better.
    chosen
        .empty
        .sort_by_key(|file| std::cmp::Reverse(file.bytes));
    if let Some(at_most) = wanted.at_most {
        chosen.limit(at_most);
    }
    chosen
}

impl Chosen {
    pub(super) fn all(&self) -> impl Iterator<Item = &Found> {
        self.delete.iter().chain(&self.empty)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.all()
            .fold(0, |sum: u64, found| sum.saturating_add(found.bytes))
    }

    /// How many are deleted: only these give their inodes back.
    pub(super) fn files(&self) -> u64 {
        count(&self.delete)
    }

    /// Takes those out, from the first on, with which it would be too much.
    fn limit(&mut self, at_most: u64) {
        let mut sum = 0_u64;
        let mut fits = |found: &Found| {
            sum = sum.saturating_add(found.bytes);
            sum <= at_most
        };
        let before = self.delete.len() + self.empty.len();
        let delete = self.delete.iter().take_while(|found| fits(found)).count();
        let all_fit = delete == self.delete.len();
        self.delete.truncate(delete);
        let empty = self.empty.iter().take_while(|found| fits(found)).count();
        self.empty.truncate(if all_fit { empty } else { 0 });
        let left = before - self.delete.len() - self.empty.len();
        self.left.too_much = u64::try_from(left).unwrap_or(u64::MAX);
    }

    /// `delete 3 files of `pictures``.
    pub(super) fn in_words(&self, delete: &str, empty: &str, name: &str) -> String {
        in_words(
            count(&self.delete),
            count(&self.empty),
            (delete, empty),
            name,
        )
    }
}

fn count(found: &[Found]) -> u64 {
    u64::try_from(found.len()).unwrap_or(u64::MAX)
}

/// So many are deleted, and so many emptied.
pub(super) fn in_words(
    deleted: u64,
    emptied: u64,
    (delete, empty): (&str, &str),
    name: &str,
) -> String {
    match (deleted, emptied) {
        (deleted, 0) => format!("{delete} {} of `{name}`", files(deleted)),
        (0, emptied) => format!("{empty} {} of `{name}`", logs(emptied)),
        (deleted, emptied) => format!(
            "{delete} {} of `{name}` and {empty} {}",
            files(deleted),
            logs(emptied)
        ),
    }
}

/// `1 file`, `3 files`.
pub(super) fn files(number: u64) -> String {
    match number {
        1 => "1 file".to_owned(),
        _ => format!("{number} files"),
    }
}

fn logs(number: u64) -> String {
    match number {
        1 => "1 open log".to_owned(),
        _ => format!("{number} open logs"),
    }
}

impl Left {
    /// Why nothing of a cleanup may go.
    pub(super) fn because(&self, name: &str) -> String {
        let reasons: Vec<String> = [
            (self.young, "too young"),
            (self.open, "open"),
            (self.newest, "kept as the newest"),
            (self.linked, "also in use under another name"),
            (self.too_much, "larger than may be freed at once"),
        ]
        .into_iter()
        .filter(|(number, _)| *number != 0)
        .map(|(number, why)| format!("{number} {} {why}", if number == 1 { "is" } else { "are" }))
        .collect();
        if reasons.is_empty() {
            return format!("`{name}` has no files to delete");
        }
        format!("no file of `{name}` may go: {}", reasons.join(", "))
    }
}
