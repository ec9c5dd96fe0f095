//! Figures, beside their targets and their peers: the table, and the JSON.

use prunella_faults::judge::quantile;
use serde_json::{Value, json};

/// Measured values of one kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value that this share of all is not above; NaN of nothing.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        quantile(&self.0, share).unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn p95(&self) -> f64 {
        self.quantile(0.95)
    }

    fn least(&self) -> f64 {
        self.quantile(0.0)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    fn json(&self) -> Value {
        json!({
            "median": self.median(), "least": self.least(), "p95": self.p95(), "samples": self.0,
        })
    }
}

/// What a figure has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Below this.
    Below(f64),
    /// Below what the peer needs.
    BelowPeer,
    /// The peer needs so many times as much, at least.
    Times(f64),
    /// Just to know.
    None,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Samples,
    pub(crate) target: Target,
    pub(crate) peer: Option<(String, Samples)>,
    /// The store's disk meanwhile, median in ms; absent where no store is in
    /// it.
    pub(crate) fsync: Option<f64>,
    /// The load average meanwhile.
    pub(crate) load: f64,
}

impl Figure {
    /// How many times the peer needs as much.
    fn ratio(&self) -> Option<f64> {
        let (_, peer) = self.peer.as_ref()?;
        Some(peer.median() / self.ours.median())
    }

    /// Whether it is measured beside this peer.
    pub(crate) fn is_beside(&self, peer: &str) -> bool {
        self.peer.as_ref().is_some_and(|(name, _)| name == peer)
    }

    /// Whether the target is met; nothing where there is none.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.target {
            Target::Below(limit) => Some(self.ours.median() < limit),
            Target::BelowPeer => Some(self.ratio()? > 1.0),
            Target::Times(times) => Some(self.ratio()? >= times),
            Target::None => None,
        }
    }

    fn wanted(&self) -> String {
        match self.target {
            Target::Below(limit) => format!("< {limit} {}", self.unit),
            Target::BelowPeer => "< peer".to_owned(),
            Target::Times(times) => format!("peer ≥ {times}x"),
            Target::None => String::new(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "figure": self.what,
            "unit": self.unit,
            "prunella": self.ours.json(),
            "target": self.wanted(),
            "met": self.met(),
            "peer": self.peer.as_ref().map(|(name, samples)| json!({
                "name": name, "measured": samples.json(),
            })),
            "peer_to_prunella": self.ratio(),
            "fsync_median_ms": self.fsync,
            "load": self.load,
        })
    }
}

const HEAD: [&str; 10] = [
    "figure",
    "median",
    "p95",
    "n",
    "target",
    "met",
    "peer",
    "its median",
    "peer/ours",
    "fsync · load",
];

/// Prints all as a table. A terminal may have to be wide.
pub(crate) fn table(figures: &[Figure]) {
    let rows = rows(figures);
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in &rows {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", line.join("  ").trim_end());
    }
}

/// All as a table of Markdown.
pub(crate) fn markdown(figures: &[Figure]) -> String {
    let mut text = String::new();
    for (number, row) in rows(figures).iter().enumerate() {
        let cells = row.iter().map(|cell| cell.trim().replace('|', "\\|"));
        text += &format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            text += &format!("{}|\n", "|---".repeat(row.len()));
        }
    }
    text
}

/// A line of cells for each, below those of the head.
fn rows(figures: &[Figure]) -> Vec<[String; HEAD.len()]> {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(figures.iter().map(|figure| {
        let number = |samples: &Samples, value: f64| match samples.count() {
            0 => "not measured".to_owned(),
            _ => format!("{} {}", short(value), figure.unit),
        };
        let (peer, its) = figure
            .peer
            .as_ref()
            .map(|(name, samples)| (name.clone(), number(samples, samples.median())))
            .unwrap_or_default();
        [
            figure.what.clone(),
            number(&figure.ours, figure.ours.median()),
            number(&figure.ours, figure.ours.p95()),
            figure.ours.count().to_string(),
            figure.wanted(),
            match figure.met() {
                Some(true) => "yes".to_owned(),
                Some(false) => "NO".to_owned(),
                None => String::new(),
            },
            peer,
            its,
            figure
                .ratio()
                .map(|ratio| format!("{ratio:.1}x"))
                .unwrap_or_default(),
            match figure.fsync {
                Some(fsync) => format!("{fsync:.2} ms · {:.1}", figure.load),
                None => format!("no store · {:.1}", figure.load),
            },
        ]
    }));
    rows
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: &[f64], target: Target, peer: &[f64]) -> Figure {
        Figure {
            what: "it".to_owned(),
            unit: "ms",
            ours: Samples::new(ours.to_vec()),
            target,
            peer: Some(("other".to_owned(), Samples::new(peer.to_vec()))),
            fsync: None,
            load: 0.0,
        }
    }

    #[test]
    fn a_target_is_met_by_the_median() {
        let met = |target| figure(&[1.0, 2.0, 90.0], target, &[20.0]).met();
        assert_eq!(met(Target::Below(2.1)), Some(true));
        assert_eq!(met(Target::Below(2.0)), Some(false));
        assert_eq!(met(Target::BelowPeer), Some(true));
        assert_eq!(met(Target::Times(10.0)), Some(true));
        assert_eq!(met(Target::Times(11.0)), Some(false));
        assert_eq!(met(Target::None), None);
    }

    #[test]
    fn an_unmeasured_figure_meets_no_target() {
        let met = |target| figure(&[], target, &[20.0]).met();
        assert_eq!(met(Target::Below(2.0)), Some(false));
        assert_eq!(met(Target::BelowPeer), Some(false));
    }

    #[test]
    fn a_table_of_markdown_has_its_head_once() {
        let all = [figure(&[2.0], Target::Below(3.0), &[4.0])];
        let table = markdown(&all);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("| figure | median |"), "{table}");
        assert!(lines[1].starts_with("|---|---|"), "{table}");
        assert!(
            lines[2].contains("| < 3 ms | yes | other | 4.00 ms | 2.0x |"),
            "{table}"
        );
    }
}
