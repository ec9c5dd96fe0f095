//! Text for a terminal.

use super::{Results, mib, percent, time};
use crate::{
    catalogue::{Class, Fault, GROUPS},
    judge::Verdict,
};

/// The catalogue, a fault a line.
#[must_use]
pub fn list(faults: &[Fault]) -> String {
    let mut text = String::new();
    let count = |class, not_yet| {
        let of_it = |fault: &&Fault| fault.class == class && fault.not_yet() == not_yet;
        faults.iter().filter(of_it).count()
    };
    for (class, not_yet) in GROUPS {
        let count = count(class, not_yet);
        if count == 0 {
            continue;
        }
        let lacks = if not_yet { "; Prunella: not yet" } else { "" };
        text += &format!("{}{lacks} ({count})\n", class.title());
        for fault in faults {
            if fault.class != class || fault.not_yet() != not_yet {
                continue;
            }
            let lacks = if fault.missing.is_empty() {
                String::new()
            } else {
                format!(" [it cannot {}]", fault.missing.join(", "))
            };
            text += &format!("  {:<26} {}{lacks}\n", fault.name, fault.title);
        }
    }
    text
}

/// What every healer achieved, and what went wrong.
#[must_use]
pub fn table(results: &Results<'_>) -> String {
    let scores = results.scores();
    let mut rows = vec![
        [
            "healer",
            "healed",
            "95 % between",
            "not yet",
            "left alone",
            "told",
            "rightly quiet",
            "wrong",
            "silent",
            "median",
            "p95",
            "alerts",
            "CPU/run",
            "memory",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for score in &scores {
        let (low, high) = score.healed_between;
        rows.push(vec![
            score.healer.clone(),
            format!(
                "{}/{} {:.0} %",
                score.healed,
                score.heal_runs,
                percent(score.healed, score.heal_runs)
            ),
            format!("{:.0}–{:.0} %", low * 100.0, high * 100.0),
            format!("{}/{}", score.not_yet_healed, score.not_yet_runs),
            format!("{}/{}", score.left, score.leave_runs),
            format!("{}/{}", score.told, score.tell_runs),
            format!("{}/{}", score.quiet, score.quiet_runs),
            score.wrong.len().to_string(),
            score.silent.len().to_string(),
            time(score.median_ms),
            time(score.p95_ms),
            format!("{:.1}", score.alerts_each),
            format!("{:.0} ms", score.cpu_ms_each),
            format!("{:.0} MiB", mib(score.memory_kib)),
        ]);
    }
    let mut text = aligned(&rows);
    for score in &scores {
        if !score.wrong.is_empty() {
            text += &format!("\n{}: wrong actions\n", score.healer);
            for (fault, what) in &score.wrong {
                text += &format!("  {fault}: {what}\n");
            }
        }
    }
    for score in &scores {
        for (what, class) in [
            ("not told", Class::MustTell),
            ("wrongly told", Class::MustNotTell),
            ("not healed", Class::MustHeal),
        ] {
            let missed: Vec<String> = results
                .verdicts
                .iter()
                .filter(|v| v.healer == score.healer && v.class == class && !v.right)
                .map(name_of)
                .collect();
            if !missed.is_empty() {
                text += &format!("\n{}: {what}: {}\n", score.healer, missed.join(", "));
            }
        }
    }
    for other in &results.healers {
        if other.is_prunella() || other.name() == "none" {
            continue;
        }
        for ours in results.healers.iter().filter(|healer| healer.is_prunella()) {
            let (both, faster) = results.faster(ours.name(), other.name());
            text += &format!(
                "\n{} and {}: both healed {both} faults, {faster} of them {} in less time",
                ours.name(),
                other.name(),
                ours.name()
            );
        }
    }
    text.push('\n');
    for (fault, healer, why) in &results.errors {
        text += &format!("\nERROR: {fault} with {healer}: {why}\n");
    }
    text
}

/// A fault that went wrong in this run, with what there is to say of it.
fn name_of(verdict: &Verdict) -> String {
    let mut said = verdict.fault.clone();
    match verdict.class {
        Class::MustNotTell => said += &format!(" ({})", verdict.alerts.join("; ")),
        Class::MustHeal => {
            if verdict.not_yet {
                said += " (not yet)";
            }
            if verdict.silent {
                said += " (silent)";
            }
        }
        Class::MustTell | Class::MustNotTouch => {}
    }
    said
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}
