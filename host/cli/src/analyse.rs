//! `prunella analyse ID`: what the rules make of an incident, and what the
//! model says when it is asked now, or what it would be sent.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use prunella_analysis::HostAnalyst;
use prunella_core::{
    analyst::{Analyst as _, Evidence, ModelSettings},
    capability::LogEntry,
    diagnosis::{Finding, Opinion, Source},
    service::Service,
    trail::{Record, Step},
};
use prunella_daemon::configuration::load_config;
use prunella_linux::{Linux, LinuxSettings};
use serde::Serialize;

use crate::{
    args::AnalyseArgs,
    exit::{Exit, Problem},
    output::{self, FAIR, QUIET, STRONG},
    paths::Paths,
    query::Prunella,
    time,
};

/// Memory and disks are as they are now: of an incident longer ago they say
/// nothing.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// What `--json` prints.
#[derive(Serialize)]
struct Analysis<'a> {
    incident: &'a str,
    unit: &'a str,
    findings: &'a [Finding],
    /// Absent when no model is configured.
    opinion: Option<&'a Result<Opinion, String>>,
}

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: &AnalyseArgs) -> anyhow::Result<Exit> {
    if !rustix::process::geteuid().is_root() {
        return Err(Problem::new(
            Exit::NoPermission,
            "only root can read all the evidence, and the model's key",
        )
        .help(output::with_sudo())
        .into());
    }
    let config = load_config(paths)?;
    let record = Prunella::new(paths).ask(|queries| queries.incident(&args.id))?;
    let unit = &record.incident.detection.unit;
    let service = config
        .services
        .get(unit)
        .cloned()
        .unwrap_or_else(|| Service::new(unit.clone()));
    let evidence = gather(&record, service.clone())?;
    let analyst = HostAnalyst::new(&paths.run);
    let mut findings = analyst.diagnose(&evidence);
    if findings.is_empty() {
        // What was seen then may be gone by now.
        findings = recorded(&record);
    }
    let model = config.analysis.as_ref();
    if args.show_request {
        let model = model.ok_or_else(no_model)?;
        let request = analyst
            .request(model, &evidence, &findings, &service.strategies)
            .map_err(|why| Problem::new(Exit::Trouble, why))?;
        output::print(&request)?;
        return Ok(Exit::Ok);
    }
    let asked = Instant::now();
    let opinion =
        model.map(|model| analyst.opinion_now(model, &evidence, &findings, &service.strategies));
    let took = asked.elapsed();
    if args.json {
        output::print_json(&Analysis {
            incident: record.incident.id.as_str(),
            unit: unit.as_str(),
            findings: &findings,
            opinion: opinion.as_ref(),
        })?;
    } else {
        let mut text = format!(
            "{STRONG}{unit}{STRONG:#}, incident {}\n\n",
            record.incident.id
        );
        text.push_str(&told(&findings, output::width()));
        if let (Some(model), Some(opinion)) = (model, &opinion) {
            text.push('\n');
            text.push_str(&thought(model, opinion, took, output::width()));
        }
        output::print(&text)?;
    }
    Ok(match opinion {
        Some(Err(_)) => Exit::Trouble,
        _ => Exit::Ok,
    })
}

fn no_model() -> Problem {
    Problem::new(
        Exit::Config,
        "no model is configured, so nothing would be sent",
    )
    .help("[analysis] in prunella.toml names one")
}

/// What is still to be known of the failure.
fn gather(record: &Record, service: Service) -> anyhow::Result<Evidence> {
    let linux = Linux::connect(LinuxSettings::default()).context("cannot reach the host")?;
    let service = Arc::new(service);
    let host = linux.host_for(Arc::clone(&service));
    let detection = &record.incident.detection;
    let mut evidence =
        prunella_healer::evidence::gather(&host, &*linux, &service, detection, None, None);
    if time::now().since(detection.at) > FRESH {
        evidence.memory = None;
        evidence.memory_pressure = None;
        evidence.load = None;
        evidence.disks.clear();
        evidence.needs.clear();
    }
    // The journal forgets; the store has kept the last lines.
    if let Some(run) = evidence.runs.first_mut()
        && run.lines.is_empty()
    {
        run.lines = kept_lines(record);
    }
    Ok(evidence)
}

fn kept_lines(record: &Record) -> Vec<LogEntry> {
    let at = record.incident.detection.at;
    record
        .steps
        .iter()
        .filter_map(|entry| match &entry.step {
            Step::Evidence { lines }
            | Step::FailedAgain { lines, .. }
            | Step::Detected {
                evidence: lines, ..
            } => Some(lines),
            _ => None,
        })
        .flatten()
        .map(|message| LogEntry::new(at, 6, message.clone()))
        .collect()
}

/// The latest findings in the record.
fn recorded(record: &Record) -> Vec<Finding> {
    record
        .steps
        .iter()
        .rev()
        .find_map(|entry| match &entry.step {
            Step::Diagnosed { findings } => Some(findings.clone()),
            _ => None,
        })
        .unwrap_or_default()
}

/// The findings, for people.
fn told(findings: &[Finding], width: usize) -> String {
    if findings.is_empty() {
        return "The rules recognise nothing.\n".to_owned();
    }
    let mut text = "What the rules recognise, the likeliest first:\n".to_owned();
    for finding in findings {
        let _ = writeln!(
            text,
            "\n  {STRONG}{}{STRONG:#}: {}",
            finding.cause.as_str(),
            finding.sentence
        );
        let from = match finding.from {
            Source::Log => "a log line, which any process can write",
            Source::Unit => "systemd",
            Source::Process => "kernel",
            Source::Resources => "the host's resources",
            Source::Change => "what changed lately",
        };
        paragraph(
            &mut text,
            &format!("because {} ({from})", finding.because),
            width,
        );
        if let Some(advice) = &finding.advice {
            paragraph(&mut text, advice, width);
        }
    }
    text
}

/// The model's opinion, for people.
fn thought(
    model: &ModelSettings,
    opinion: &Result<Opinion, String>,
    took: Duration,
    width: usize,
) -> String {
    let took = time::took(took);
    let opinion = match opinion {
        Ok(opinion) => opinion,
        Err(why) => {
            return format!("{FAIR}No opinion of {}{FAIR:#}: {why}\n", model.model);
        }
    };
    let sure = opinion
        .confidence
        .map(|percent| format!(", {percent} % sure by its own word"))
        .unwrap_or_default();
    let mut text = format!(
        "What {} thinks {QUIET}(an opinion{sure}, after {took}){QUIET:#}:\n\n",
        opinion.model
    );
    paragraph(&mut text, &opinion.cause, width);
    paragraph(&mut text, &opinion.explanation, width);
    for suggestion in &opinion.suggestions {
        paragraph(&mut text, &format!("- {suggestion}"), width);
    }
    if !opinion.order.is_empty() {
        let order: Vec<&str> = opinion.order.iter().map(|name| name.as_str()).collect();
        paragraph(
            &mut text,
            &format!("It would try: {}", order.join(", ")),
            width,
        );
    }
    text
}

fn paragraph(text: &mut String, words: &str, width: usize) {
    for line in output::wrap(words, width.saturating_sub(4)) {
        let _ = writeln!(text, "    {line}");
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::{StrategyName, analyst::ModelProtocol, diagnosis::Cause};

    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn findings_say_what_from_where_and_what_to_do() {
        let text = plain(&told(
            &[Finding {
                cause: Cause::AddressInUse,
                sentence: "another process holds 0.0.0.0:80".into(),
                because: "nginx: [emerg] bind() to 0.0.0.0:80 failed".into(),
                from: Source::Log,
                advice: Some("See who holds it (ss -ltnup).".into()),
                manual_steps: Vec::new(),
            }],
            60,
        ));
        for part in [
            "address-in-use: another process holds 0.0.0.0:80\n",
            "any process can write",
            "ss -ltnup",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
        assert_eq!(plain(&told(&[], 60)), "The rules recognise nothing.\n");
    }

    #[test]
    fn an_opinion_is_shown_as_one_with_the_models_name() {
        let model = ModelSettings {
            protocol: ModelProtocol::OpenAi,
            url: "https://x/v1/chat/completions".into(),
            model: "llama".into(),
            key: None,
            ca_file: None,
            timeout: std::time::Duration::from_secs(1),
            wait: std::time::Duration::ZERO,
            max_tokens: 1,
            may_order: false,
            addresses: false,
            evidence: 1024,
            per_hour: 1,
        };
        let opinion = Opinion {
            model: "llama".into(),
            cause: "port 80 is taken".into(),
            explanation: "nginx says so".into(),
            confidence: Some(90),
            suggestions: vec!["look at ss".into()],
            order: vec![StrategyName::new("port-conflict").unwrap()],
        };
        let text = plain(&thought(
            &model,
            &Ok(opinion),
            Duration::from_millis(1_200),
            80,
        ));
        for part in [
            "What llama thinks (an opinion, 90 % sure by its own word, after 1.2 s):",
            "port 80 is taken",
            "- look at ss",
            "It would try: port-conflict",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let text = plain(&thought(
            &model,
            &Err("it declined".into()),
            Duration::ZERO,
            80,
        ));
        assert_eq!(text, "No opinion of llama: it declined\n");
    }
}
