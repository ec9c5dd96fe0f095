//! The tables of `docs/faults-results.md`.

use super::{Results, mib, percent, time};
use crate::catalogue::{Class, Fault};

/// The page of results.
#[must_use]
pub fn markdown(results: &Results<'_>) -> String {
    let mut text = format!(
        "# Faults: results\n\n\
         Written by `cargo xtask bench faults --publish`; [faults.md](faults.md) says what it \
         means and how far it goes.\n\n{}.{}\n\n",
        results.host,
        if results.timed {
            " What must be healed was run one machine at a time."
        } else {
            " Several machines ran side by side: the times are no measurement."
        }
    );
    text += "![What each healer achieved](images/faults.svg)\n\n";
    text += &summary(results);
    for (class, not_yet, heading, story) in [
        (
            Class::MustHeal,
            false,
            "Must heal",
            "The median from crash to answer; – where it was not healed each time, with how \
             often it was.",
        ),
        (
            Class::MustHeal,
            true,
            "Must heal, and Prunella cannot yet",
            "What these need, Prunella does not have. They are not part of its share.",
        ),
        (
            Class::MustNotTouch,
            false,
            "Must not touch",
            "✓ where nothing wrong was done, else the number of wrong actions.",
        ),
        (
            Class::MustTell,
            false,
            "Sickness that must be told",
            "The median from the injection to the first message that tells of it; – where \
             nobody was told each time, with how often they were.",
        ),
        (
            Class::MustTell,
            true,
            "Sickness that must be told, and Prunella cannot see yet",
            "What these need, Prunella does not have. They are not part of its share.",
        ),
        (
            Class::MustNotTell,
            false,
            "Looks like sickness, and is none",
            "✓ where nobody was told, else the number of messages.",
        ),
    ] {
        let faults: Vec<&Fault> = results
            .faults
            .iter()
            .copied()
            .filter(|fault| fault.class == class && fault.not_yet() == not_yet)
            .collect();
        if !faults.is_empty() {
            text += &format!("\n## {heading}\n\n{story}\n\n");
            text += &by_fault(results, &faults);
        }
    }
    text += "\n## Wrong actions\n\n";
    for score in results.scores() {
        for (fault, what) in tally(&score.wrong) {
            text += &format!("- **{}**, `{fault}`: {what}\n", score.healer);
        }
    }
    text
}

/// The same action of the same fault once, with how often.
fn tally(wrong: &[(String, String)]) -> Vec<(String, String)> {
    let mut counted: Vec<(String, String, usize)> = Vec::new();
    for (fault, what) in wrong {
        match counted.iter_mut().find(|(f, w, _)| f == fault && w == what) {
            Some((.., count)) => *count += 1,
            None => counted.push((fault.clone(), what.clone(), 1)),
        }
    }
    counted
        .into_iter()
        .map(|(fault, what, count)| match count {
            1 => (fault, what),
            _ => (fault, format!("{what} ({count} times)")),
        })
        .collect()
}

fn summary(results: &Results<'_>) -> String {
    let mut text = "| healer | healed | 95 % between | of the not yet | rightly left alone | \
                    told of sickness | rightly quiet | wrong actions | silent give-ups | median | \
                    p95 | alerts/run | CPU/run | CPU/s watched | memory |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (score, healer) in results.scores().iter().zip(&results.healers) {
        let (low, high) = score.healed_between;
        text += &format!(
            "| {} | {}/{} ({:.0} %) | {:.0}–{:.0} % | {}/{} | {}/{} | {}/{} | {}/{} | {} | {} | {} | \
             {} | {:.1} | {:.0} ms | {:.1} ms | {:.0} MiB |\n",
            healer.title(),
            score.healed,
            score.heal_runs,
            percent(score.healed, score.heal_runs),
            low * 100.0,
            high * 100.0,
            score.not_yet_healed,
            score.not_yet_runs,
            score.left,
            score.leave_runs,
            score.told,
            score.tell_runs,
            score.quiet,
            score.quiet_runs,
            score.wrong.len(),
            score.silent.len(),
            time(score.median_ms),
            time(score.p95_ms),
            score.alerts_each,
            score.cpu_ms_each,
            score.cpu_ms_per_second,
            mib(score.memory_kib),
        );
    }
    text
}

fn by_fault(results: &Results<'_>, faults: &[&Fault]) -> String {
    let mut text = "| fault | what |".to_owned();
    let mut rule = "|---|---|".to_owned();
    for healer in &results.healers {
        text += &format!(" {} |", healer.name());
        rule += "---|";
    }
    text += &format!("\n{rule}\n");
    for fault in faults {
        text += &format!("| `{}` | {} |", fault.name, fault.title);
        for healer in &results.healers {
            text += &format!(" {} |", cell(results, fault, healer.name()));
        }
        text.push('\n');
    }
    text
}

fn cell(results: &Results<'_>, fault: &Fault, healer: &str) -> String {
    let runs = results.of(&fault.name, healer).count();
    if runs == 0 {
        return "error".to_owned();
    }
    let right = results.of(&fault.name, healer).filter(|v| v.right).count();
    let wrong: usize = results
        .of(&fault.name, healer)
        .map(|verdict| verdict.wrong.len())
        .sum();
    let silent = results
        .of(&fault.name, healer)
        .any(|verdict| verdict.silent);
    let alerts: usize = results
        .of(&fault.name, healer)
        .map(|verdict| verdict.alerts.len())
        .sum();
    let mut said = match (fault.class, results.median(&fault.name, healer)) {
        (Class::MustNotTell, _) if right == runs => "✓".to_owned(),
        (Class::MustNotTell, _) => format!("**{alerts}**"),
        (Class::MustNotTouch, _) if wrong == 0 => "✓".to_owned(),
        (Class::MustNotTouch, _) => format!("**{wrong}**"),
        (_, Some(median)) if right == runs => time(Some(median)),
        _ if right == 0 => "–".to_owned(),
        _ => format!("– ({right}/{runs})"),
    };
    if fault.class != Class::MustNotTouch && wrong > 0 {
        said += &format!(", **{wrong} wrong**");
    }
    if silent {
        said += ", silent";
    }
    said
}
