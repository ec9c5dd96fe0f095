//! What the operator declared that may be done for the service, before it is done.
//!
//! Each kind of remedy has a module that does it, such as [`set_aside`](crate::set_aside).

use std::{fmt, time::Duration};

use crate::{
    Incident, Result,
    contract::{act::types as receipts, observe::remedies as raw},
};

/// So much of something. Shown as `1.2 GiB`, or `3 files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// How much, as a whole number of what is counted.
    pub value: u64,
    /// What is counted: `bytes`, `files`, `processes`, `instances`, `sessions`.
    pub of: String,
}

/// What an act would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Whether there is anything to do.
    pub eligible: bool,
    /// What would be done, as an infinitive; why there is nothing to do, where there is not.
    pub summary: String,
    /// How much of it.
    pub amount: Option<Amount>,
    /// Whether it can be undone.
    pub undoable: bool,
    /// When it goes back by itself, where it does.
    pub lease: Option<Duration>,
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Whether anything was changed.
    pub changed: bool,
    /// What was done, or why nothing was.
    pub summary: String,
    /// How much its plan said.
    pub predicted: Option<Amount>,
    /// How much it was, measured.
    pub measured: Option<Amount>,
}

/// What an act, such as `set-aside.run`, would do now with the remedy of that name.
///
/// # Errors
/// `not-found` when there is no such remedy, or why it cannot be told.
pub fn plan_for(act: &str, name: &str) -> Result<Plan> {
    Ok(raw::plan_for(act, name).map(Plan::from)?)
}

/// The first of the declared remedies that an act, such as `file-restore.run`, could do
/// something with now.
///
/// # Errors
/// Why it cannot be told.
pub fn first_eligible(incident: &Incident, act: &str) -> Result<Option<String>> {
    let kind = act.split_once('.').map_or(act, |(kind, _)| kind);
    for name in incident.remedies(kind) {
        if plan_for(act, &name)?.eligible {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The plan of the first of the declared remedies with which an act, such as `mode.enter`, has
/// something to do now; else why it has nothing to do with any of them.
///
/// # Errors
/// Why it cannot be told.
pub fn first_plan(incident: &Incident, act: &str) -> Result<std::result::Result<Plan, String>> {
    let kind = act.split_once('.').map_or(act, |(kind, _)| kind);
    let mut others = Vec::new();
    for name in incident.remedies(kind) {
        let plan = plan_for(act, &name)?;
        if plan.eligible {
            return Ok(Ok(plan));
        }
        others.push(plan.summary);
    }
    Ok(Err(if others.is_empty() {
        format!("no {kind} is declared")
    } else {
        others.join(", ")
    }))
}

/// Applies the declared remedies of a kind, such as `mode`, until one of them has changed
/// something: its receipt. Else why none has.
///
/// # Errors
/// What the host answered to a call that it did not carry out.
pub fn apply_first(
    incident: &Incident,
    kind: &str,
    apply: impl Fn(&str) -> Result<Receipt>,
) -> Result<std::result::Result<Receipt, String>> {
    let mut others = Vec::new();
    for name in incident.remedies(kind) {
        let receipt = apply(&name)?;
        if receipt.changed {
            return Ok(Ok(receipt));
        }
        others.push(receipt.summary);
    }
    Ok(Err(others.join(", ")))
}

/// The names, in backquotes, of the remedies with which an act has something to do, and why it
/// has nothing to do with the others. The act, such as `set-aside.run`, names their kind.
///
/// # Errors
/// Why it cannot be told.
pub fn eligible(incident: &Incident, act: &str) -> Result<(Vec<String>, Vec<String>)> {
    let kind = act.split_once('.').map_or(act, |(kind, _)| kind);
    let (mut eligible, mut others) = (Vec::new(), Vec::new());
    for name in incident.remedies(kind) {
        let plan = plan_for(act, &name)?;
        if plan.eligible {
            eligible.push(format!("`{name}`"));
        } else {
            others.push(plan.summary);
        }
    }
    Ok((eligible, others))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of != "bytes" {
            let of = if self.value == 1 {
                let one = self.of.strip_suffix("es").filter(|one| one.ends_with('s'));
                one.or_else(|| self.of.strip_suffix('s'))
                    .unwrap_or(&self.of)
            } else {
                &self.of
            };
            return write!(f, "{} {of}", self.value);
        }
        const UNITS: [(&str, u32); 5] = [
            ("PiB", 50),
            ("TiB", 40),
            ("GiB", 30),
            ("MiB", 20),
            ("KiB", 10),
        ];
        let unit = UNITS.iter().find(|(_, shift)| self.value >> shift != 0);
        let Some((unit, shift)) = unit else {
            return write!(f, "{} bytes", self.value);
        };
        // Whole numbers: floating-point text alone makes a component a tenth larger.
        let whole = self.value >> shift;
        let rest = (self.value >> (shift - 10)) & 1023;
        write!(f, "{whole}.{} {unit}", rest * 10 / 1024)
    }
}

impl From<raw::Amount> for Amount {
    fn from(amount: raw::Amount) -> Self {
        Self {
            value: amount.value,
            of: amount.of,
        }
    }
}

impl From<raw::Plan> for Plan {
    fn from(plan: raw::Plan) -> Self {
        Self {
            eligible: plan.eligible,
            summary: plan.summary,
            amount: plan.amount.map(Amount::from),
            undoable: plan.undoable,
            lease: plan.lease_milliseconds.map(Duration::from_millis),
        }
    }
}

impl From<receipts::Receipt> for Receipt {
    fn from(receipt: receipts::Receipt) -> Self {
        Self {
            changed: receipt.changed,
            summary: receipt.summary,
            predicted: receipt.predicted.map(Amount::from),
            measured: receipt.measured.map(Amount::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_as_people_write_them() {
        for (value, of, shown) in [
            (812, "bytes", "812 bytes"),
            (1_536, "bytes", "1.5 KiB"),
            ((1 << 20) - 1, "bytes", "1023.9 KiB"),
            (5 << 30, "bytes", "5.0 GiB"),
            (3, "files", "3 files"),
            (1, "files", "1 file"),
            (1, "processes", "1 process"),
            (1, "instances", "1 instance"),
            (1, "sessions", "1 session"),
        ] {
            let of = of.to_owned();
            assert_eq!(Amount { value, of }.to_string(), shown);
        }
    }
}
