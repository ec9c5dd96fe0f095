//! The strategies: what each may do, and what it has achieved.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use prunella_api::PluginStatus;
use prunella_core::{
    Timestamp,
    statistics::{Counts, StrategyStatistics},
    text::capital,
    text::counted,
};

use super::{Frame, Unit, Visitor, now, render};
use crate::show::When;

#[derive(Template)]
#[template(path = "strategies.html")]
struct Page {
    frame: Frame,
    strategies: Vec<Strategy>,
}

struct Strategy {
    name: String,
    version: String,
    source: String,
    state: &'static str,
    word: String,
    why: String,
    /// What it may do, and on what, in words.
    granted: Vec<String>,
    not_granted: Vec<String>,
    share: Share,
    kinds: Vec<Kind>,
}

/// How often it worked, and between which shares the truth lies with 95 % confidence.
struct Share {
    words: String,
    interval: String,
    /// The interval and the share within it, in a box of 1,000.
    x: String,
    width: String,
    at: String,
}

/// One kind of failure.
struct Kind {
    unit: Unit,
    cause: String,
    sample: String,
    share: Share,
    last: When,
}

/// `GET /strategies`
pub async fn page(visitor: Visitor) -> Result<Response, Response> {
    let (plugins, statistics) = futures_util::join!(
        visitor.get::<Vec<PluginStatus>>("/plugins"),
        visitor.get::<Vec<StrategyStatistics>>("/strategies"),
    );
    let frame = visitor.frame("Strategies", "strategies");
    Ok(render(&make(frame, now(), plugins?, &statistics?)))
}

fn make(
    frame: Frame,
    now: Timestamp,
    plugins: Vec<PluginStatus>,
    statistics: &[StrategyStatistics],
) -> Page {
    let mut by_name: BTreeMap<&str, Vec<&StrategyStatistics>> = BTreeMap::new();
    for one in statistics {
        by_name.entry(one.strategy.as_str()).or_default().push(one);
    }
    let mut strategies: Vec<Strategy> = plugins
        .into_iter()
        .map(|plugin| {
            let kinds = by_name.remove(plugin.name.as_str()).unwrap_or_default();
            strategy(plugin, kinds, now)
        })
        .collect();
    // What has healed once, and is not there any more.
    strategies.extend(by_name.into_iter().map(|(name, kinds)| {
        let gone = PluginStatus {
            name: name.to_owned(),
            source: String::new(),
            state: "not here".to_owned(),
            version: None,
            signature: None,
            sha256: None,
            granted: Vec::new(),
            imports: None,
            not_granted: Vec::new(),
            why: None,
            declared_at: None,
        };
        strategy(gone, kinds, now)
    }));
    Page { frame, strategies }
}

fn strategy(plugin: PluginStatus, mut kinds: Vec<&StrategyStatistics>, now: Timestamp) -> Strategy {
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.last_at));
    let all = kinds
        .iter()
        .fold(Counts::default(), |all, kind| all.and(kind.counts));
    let grants = plugin.granted.into_iter().take(60).map(|grant| {
        let on: Vec<String> = grant.on.into_iter().take(20).collect();
        format!("{} on {}", grant.what, on.join(", "))
    });
    Strategy {
        state: match plugin.state.as_str() {
            "ready" => "healthy",
            "awaiting-grant" => "degraded",
            "refused" => "failed",
            _ => "stopped",
        },
        word: plugin.state.replace('-', " "),
        name: plugin.name,
        version: plugin.version.unwrap_or_default(),
        source: plugin.source,
        why: plugin.why.map(|why| capital(&why)).unwrap_or_default(),
        granted: grants.collect(),
        not_granted: plugin.not_granted.into_iter().take(60).collect(),
        share: share(all),
        kinds: kinds
            .into_iter()
            .take(50)
            .map(|kind| Kind {
                unit: Unit::new(&kind.signature.unit),
                cause: kind.signature.cause.clone(),
                sample: kind.signature.sample.clone(),
                share: share(kind.counts),
                last: When::new(kind.last_at, now),
            })
            .collect(),
    }
}

fn share(counts: Counts) -> Share {
    let (low, high) = counts.interval();
    let relapses = match counts.relapses {
        0 => String::new(),
        relapses => format!(", {}", counted(relapses as usize, "relapse")),
    };
    let at = match counts.tries {
        0 => 0.0,
        tries => f64::from(counts.proofs.min(tries)) / f64::from(tries),
    };
    Share {
        words: format!("{} of {} proven{relapses}", counts.proofs, counts.tries),
        interval: format!("{:.0} to {:.0} %", low * 100.0, high * 100.0),
        x: format!("{:.1}", low * 1_000.0),
        width: format!("{:.1}", ((high - low) * 1_000.0).max(1.0)),
        at: format!("{:.1}", at * 1_000.0),
    }
}
