//! What each strategy has achieved.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use prunella_core::{
    StrategyName, Timestamp,
    statistics::{Counts, StrategyStatistics},
};

use super::{Frame, Unit, Visitor, now, render};
use crate::show::{self, When};

#[derive(Template)]
#[template(path = "strategies.html")]
struct Page {
    frame: Frame,
    strategies: Vec<Strategy>,
}

struct Strategy {
    name: String,
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
    let statistics: Vec<StrategyStatistics> = visitor.get("/strategies").await?;
    let frame = visitor.frame("Strategies", "strategies");
    Ok(render(&make(frame, now(), &statistics)))
}

fn make(frame: Frame, now: Timestamp, statistics: &[StrategyStatistics]) -> Page {
    let mut by_name: BTreeMap<&StrategyName, Vec<&StrategyStatistics>> = BTreeMap::new();
    for one in statistics {
        by_name.entry(&one.strategy).or_default().push(one);
    }
    let strategies = by_name.into_iter().map(|(name, mut kinds)| {
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.last_at));
        let all = kinds
            .iter()
            .fold(Counts::default(), |all, kind| all.and(kind.counts));
        Strategy {
            name: name.to_string(),
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
    });
    Page {
        frame,
        strategies: strategies.collect(),
    }
}

fn share(counts: Counts) -> Share {
    let (low, high) = counts.interval();
    let relapses = match counts.relapses {
        0 => String::new(),
        relapses => format!(", {}", show::count(relapses as usize, "relapse")),
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
