//! Healing by order, with its steps as they are taken.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use prunella_core::UnitName;
use tokio::sync::mpsc;

use super::{
    Api,
    extract::{Input, Named},
    panicked,
};
use crate::{
    HealCall, Refusal, RefusalKind, Steps,
    message::{HealLine, HealOptions},
};

/// Steps of a healing that may wait for a slow caller; who is slower than that is
/// told no more.
const WAITING_STEPS: usize = 1024;

/// Each step is a line of JSON, and so is the end.
pub(super) async fn heal(
    State(shared): Api,
    Named(unit): Named<UnitName>,
    Input(options): Input<HealOptions>,
) -> Result<Response, Refusal> {
    let slot = Arc::clone(&shared.heals).try_acquire_owned().map_err(|_| {
        Refusal::new(
            RefusalKind::Busy,
            format!(
                "{} healings are being waited for already",
                shared.limits.heals
            ),
        )
        .help("try again when one of them has ended")
    })?;
    let call = HealCall {
        unit,
        dry_run: options.dry_run,
        restart: options.restart,
    };
    let orders = Arc::clone(&shared.door.orders);
    let (lines, mut coming) = mpsc::channel(WAITING_STEPS);
    // Goes on when the caller has left: nobody but the healing ends it.
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let told = lines.clone();
        let steps = Steps::new(move |entry| {
            told.try_send(HealLine::Step(Box::new(entry.clone())))
                .is_ok()
        });
        let ended = orders.heal(&call, steps.clone());
        steps.close();
        let last = match ended {
            Ok((incident, ending)) => HealLine::Ended { incident, ending },
            Err(error) => HealLine::Refused(error.into_refusal()),
        };
        if lines.blocking_send(last).is_err() {
            tracing::debug!("whoever asked for a healing did not wait for its end");
        }
    });
    // What is refused before it began has its own status.
    let first = match coming.recv().await {
        Some(HealLine::Refused(refusal)) => return Err(refusal),
        Some(first) => first,
        None => return Err(panicked(&"a healing")),
    };
    let lines =
        futures_util::stream::unfold((Some(first), coming), |(first, mut coming)| async move {
            let line = match first {
                Some(first) => first,
                None => coming.recv().await?,
            };
            Some((line_of(&line), (None, coming)))
        });
    let mut response = Body::from_stream(lines).into_response();
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, ndjson);
    Ok(response)
}

fn line_of(line: &HealLine) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}
