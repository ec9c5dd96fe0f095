//! Writes a report down for people.

use std::time::Duration;

use super::{Line, Mark, Report, words};

/// Columns.
const WIDTH: usize = 80;

/// A page that grows line by line.
struct Page {
    text: String,
}

pub(super) fn render(report: &Report, now: u64) -> String {
    let mut page = Page {
        text: String::new(),
    };
    page.wrapped("", "", &report.headline);
    page.wrapped("", "", &format!("incident {}", report.incident));
    page.blank();
    facts(&mut page, report, now);

    page.heading("What failed");
    page.wrapped("  ", "  ", &format!("{}.", capital(&report.what_failed)));

    if let Some(why) = &report.why {
        page.heading(match report.ended.as_str() {
            "left-alone" => "Why nothing was done",
            "blocked" => "What it waits for",
            _ => "How far it got",
        });
        page.wrapped("  ", "  ", &capital(why));
    }

    if !report.evidence.is_empty() {
        page.heading("The last it logged (quoted; anybody may have written it)");
        for line in &report.evidence {
            page.wrapped("  > ", "  >   ", line);
        }
    }

    if !report.opinions.is_empty() {
        page.heading("What the strategies found");
        let widest = report
            .opinions
            .iter()
            .map(|opinion| opinion.strategy.as_str().len())
            .max()
            .unwrap_or_default();
        for opinion in &report.opinions {
            let says = match opinion.says.as_str() {
                "applies" => "would heal it",
                "not-mine" => "nothing for it here",
                "blocked-by" => "blocked",
                "must-not" => "nobody should act",
                _ => "broke off",
            };
            let sure = opinion
                .confidence
                .map_or_else(String::new, |sure| format!(" ({sure} % sure)"));
            page.wrapped(
                &format!("  {:widest$}  ", opinion.strategy),
                &" ".repeat(widest + 4),
                &format!("{says}{sure}: {}", opinion.reason),
            );
        }
    }

    if report.rehearsal {
        page.heading("The plan (a rehearsal: nothing was carried out)");
        // Rehearsed time is virtual: the order is what counts.
        for (number, line) in (1..).zip(&report.steps) {
            page.wrapped(&format!("  {number:>2}. "), "      ", &line.text);
        }
        if report.steps.is_empty() {
            page.line("  Nothing would be done.");
        }
    } else if !report.steps.is_empty() {
        page.heading("What was done (time since the failure)");
        steps(&mut page, &report.steps);
    }

    if let Some(proof) = report.proof.as_ref().filter(|_| report.rehearsal) {
        page.heading("Proof it would look for (assumed to be there)");
        for line in &proof.evidence {
            page.wrapped("  - ", "    ", line);
        }
    } else if let Some(proof) = &report.proof {
        page.heading("Proof");
        let mut sentence = match proof.recovered_after {
            Some(after) => format!(
                "Well again {} after the failure",
                words::length(Duration::from_micros(after))
            ),
            None => "Well again".to_owned(),
        };
        if let Some(stable_for) = proof.stable_for {
            let watched = words::length(Duration::from_millis(stable_for));
            sentence.push_str(&format!(", and still so after {watched}"));
        }
        page.wrapped("  ", "  ", &format!("{sentence}. The host saw for itself:"));
        for line in &proof.evidence {
            page.wrapped("  - ", "    ", line);
        }
    }

    if report.needs_people && !report.tried.is_empty() {
        page.heading("What was tried");
        for tried in &report.tried {
            page.wrapped(
                "  - ",
                "    ",
                &format!("{}: {}", tried.strategy, tried.result),
            );
        }
    }

    if !report.next.is_empty() || report.retry_at.is_some() {
        page.heading(if report.needs_people {
            "What to do now"
        } else {
            "If you want to"
        });
        for command in &report.next {
            page.line(&format!("  {}", command.command));
            page.wrapped("      ", "      ", &command.purpose);
        }
        if let Some(retry) = &report.retry_at {
            page.wrapped(
                "  ",
                "  ",
                &format!(
                    "Prunella tries again by itself {} ({}).",
                    words::relative(retry.ms, now),
                    retry.local
                ),
            );
        }
    }
    page.text
}

fn facts(page: &mut Page, report: &Report, now: u64) {
    let mut service = report.unit.to_string();
    let mut about: Vec<&str> = Vec::new();
    about.extend(report.domain.as_deref());
    if report.critical {
        about.push("critical");
    }
    if !about.is_empty() {
        service.push_str(&format!(" ({})", about.join(", ")));
    }
    let boot = if report.earlier_boot {
        ", in an earlier boot"
    } else {
        ""
    };
    let mut rows = vec![("service", service)];
    if !report.ports.is_empty() {
        rows.push(("ports", report.ports.join(", ")));
    }
    rows.push(("host", report.host.clone()));
    rows.push((
        "failed",
        format!(
            "{} ({}{boot})",
            report.at.local,
            words::relative(report.at.ms, now)
        ),
    ));
    rows.push(("noticed", words::noticed(&report.detected_by)));
    if report.attempt > 1 {
        rows.push(("attempt", report.attempt.to_string()));
    }
    for (name, value) in rows {
        page.wrapped(&format!("  {name:8} "), &" ".repeat(11), &value);
    }
}

fn steps(page: &mut Page, steps: &[Line]) {
    let several = steps.iter().any(|line| line.attempt > 1);
    let mut attempt = 0;
    for line in steps {
        if several && line.attempt != attempt {
            attempt = line.attempt;
            page.line(&format!("  attempt {attempt}"));
        }
        let mark = match line.mark {
            Mark::Plain => ' ',
            Mark::Good => '+',
            Mark::Bad => '!',
            Mark::Unknown => '?',
            Mark::Rehearsed => '~',
        };
        let after = after(line.after);
        page.wrapped(
            &format!("  {after:>12} {mark} "),
            &" ".repeat(17),
            &line.text,
        );
    }
}

/// Time since the failure: to the millisecond while it is short.
fn after(microseconds: u64) -> String {
    let after = Duration::from_micros(microseconds);
    if after.as_secs() < 100 {
        format!("+{}.{:03} s", after.as_secs(), after.subsec_millis())
    } else {
        format!("+{}", words::length(after))
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.blank();
        self.line(heading);
    }

    /// `text` after `first`, its further lines after `rest`; a word too long for
    /// a line is cut into pieces.
    fn wrapped(&mut self, first: &str, rest: &str, text: &str) {
        let mut line = first.to_owned();
        let mut used = first.chars().count();
        let mut empty = true;
        let room = WIDTH.saturating_sub(rest.chars().count()).max(20);
        for word in text.split_whitespace() {
            let letters: Vec<char> = word.chars().collect();
            for (number, piece) in letters.chunks(room).enumerate() {
                let gap = usize::from(!empty && number == 0);
                if !empty && (number > 0 || used + gap + piece.len() > WIDTH) {
                    self.line(&line);
                    line = rest.to_owned();
                    used = rest.chars().count();
                } else if gap > 0 {
                    line.push(' ');
                    used += 1;
                }
                line.extend(piece);
                used += piece.len();
                empty = false;
            }
        }
        self.line(&line);
    }
}
