//! Orders that come again under the same `Idempotency-Key` are carried out once, and
//! answered as before.
//!
//! What was answered is kept in memory: a daemon that was started anew knows nothing of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_TYPE, HeaderName},
    },
    response::Response,
};
use futures_util::StreamExt as _;

use crate::{Refusal, RefusalKind};

/// Has the name that the caller gave an order, so that it is carried out once.
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer is that of before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key.
const KEY_MAX: usize = 128;

/// Answers that are kept.
const KEPT: usize = 1_000;

/// For how long.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest answer that is kept, in bytes.
const ANSWER_MAX: usize = 64 << 10;

/// What is known of orders with keys.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    orders: Mutex<HashMap<String, Order>>,
}

#[derive(Debug)]
struct Order {
    at: Instant,
    /// What was ordered: the hash of the body.
    body: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Running,
    Done(Kept),
    /// It was carried out, and its answer was too long, or nobody read it to its end.
    Lost,
}

#[derive(Debug, Clone)]
struct Kept {
    status: StatusCode,
    media_type: Option<HeaderValue>,
    body: Bytes,
}

/// What becomes of an order.
pub(crate) enum Begun {
    /// It is new, and its answer is to be kept.
    New(Keeper),
    /// It is answered as before.
    Again(Response),
}

/// The key that an order has, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let is_key = |text: &&str| {
        !text.is_empty() && text.len() <= KEY_MAX && text.bytes().all(|b| b.is_ascii_graphic())
    };
    value.to_str().ok().filter(is_key).map(Some).ok_or_else(|| {
        Refusal::new(
            RefusalKind::BadRequest,
            format!("`Idempotency-Key` has to be 1 to {KEY_MAX} printable characters"),
        )
        .help("use a new UUID for each order")
    })
}

impl Answered {
    /// An order of `whose`, to an address, with the hash of its body.
    pub(crate) fn begin(
        self: &Arc<Self>,
        place: String,
        body: String,
        now: Instant,
    ) -> Result<Begun, Refusal> {
        let conflict = |why: &str| Refusal::new(RefusalKind::Conflict, why);
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|_, order| now.saturating_duration_since(order.at) < LIFE);
        if let Some(known) = orders.get(&place) {
            if known.body != body {
                return Err(
                    conflict("another order was given with the same `Idempotency-Key`")
                        .help("use a new key for each order"),
                );
            }
            return match &known.state {
                State::Running => Err(conflict(
                    "the order with this `Idempotency-Key` is being carried out",
                )
                .help("ask again when it is over")),
                State::Lost => Err(conflict(
                    "the order with this `Idempotency-Key` was given before, and its answer is \
                     not kept",
                )
                .help("look at what came of it: `GET /api/v1/audit`, `GET /api/v1/incidents`")),
                State::Done(kept) => Ok(Begun::Again(kept.clone().into_response())),
            };
        }
        if orders.len() >= KEPT
            && let Some(oldest) = orders
                .iter()
                .min_by_key(|(_, order)| order.at)
                .map(|(place, _)| place.clone())
        {
            orders.remove(&oldest);
        }
        let order = Order {
            at: now,
            body,
            state: State::Running,
        };
        orders.insert(place.clone(), order);
        Ok(Begun::New(Keeper {
            answered: Arc::clone(self),
            place: Some(place),
        }))
    }

    fn set(&self, place: &str, state: Option<State>) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            Some(state) => {
                if let Some(order) = orders.get_mut(place) {
                    order.state = state;
                }
            }
            None => drop(orders.remove(place)),
        }
    }
}

impl Kept {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(media_type) = self.media_type {
            headers.insert(CONTENT_TYPE, media_type);
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// Keeps the answer to one order.
pub(crate) struct Keeper {
    answered: Arc<Answered>,
    /// Nothing, once it is kept.
    place: Option<String>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.answered.set(&place, Some(State::Lost));
        }
    }
}

impl Keeper {
    /// Passes the answer on, and keeps it when it has come to its end. What was refused was
    /// not carried out, and may be tried again under the same key.
    pub(crate) fn keep(mut self, response: Response) -> Response {
        let status = response.status();
        if !status.is_success() {
            if let Some(place) = self.place.take() {
                self.answered.set(&place, None);
            }
            return response;
        }
        let (parts, body) = response.into_parts();
        let media_type = parts.headers.get(CONTENT_TYPE).cloned();
        let begun = (
            body.into_data_stream(),
            Some((self, Vec::new(), media_type)),
        );
        let passed = futures_util::stream::unfold(begun, move |(mut body, keeping)| async move {
            match body.next().await {
                Some(Ok(part)) => {
                    // Of a longer one nothing is kept: its keeper goes, and says so.
                    let keeping = keeping.and_then(|(keeper, mut whole, media_type)| {
                        whole.extend_from_slice(&part);
                        (whole.len() <= ANSWER_MAX).then_some((keeper, whole, media_type))
                    });
                    Some((Ok(part), (body, keeping)))
                }
                Some(Err(error)) => Some((Err(error), (body, None))),
                None => {
                    if let Some((keeper, whole, media_type)) = keeping {
                        keeper.done(Kept {
                            status,
                            media_type,
                            body: whole.into(),
                        });
                    }
                    None
                }
            }
        });
        Response::from_parts(parts, Body::from_stream(passed))
    }

    fn done(mut self, kept: Kept) {
        if let Some(place) = self.place.take() {
            self.answered.set(&place, Some(State::Done(kept)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "in a test a panic is the report")]

    use super::*;

    fn begin(answered: &Arc<Answered>, body: &str) -> Result<Begun, Refusal> {
        answered.begin("me POST /a k1".into(), body.into(), Instant::now())
    }

    fn new(answered: &Arc<Answered>) -> Keeper {
        match begin(answered, "b") {
            Ok(Begun::New(keeper)) => keeper,
            _ => panic!("it is new"),
        }
    }

    async fn read(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_order_is_answered_as_before() {
        let answered = Arc::new(Answered::default());
        let keeper = new(&answered);
        let running = begin(&answered, "b").err().unwrap();
        assert_eq!(running.kind, RefusalKind::Conflict);
        let passed = keeper.keep(Response::new(Body::from("yes")));
        assert_eq!(read(passed).await, "yes");
        let Ok(Begun::Again(again)) = begin(&answered, "b") else {
            panic!("it was answered");
        };
        assert_eq!(again.headers()[REPLAYED], "true");
        assert_eq!(read(again).await, "yes");
        let other = begin(&answered, "c").err().unwrap();
        assert!(other.message.contains("another order"), "{other}");
    }

    #[tokio::test]
    async fn what_was_refused_may_be_tried_again_and_what_was_not_read_may_not() {
        let answered = Arc::new(Answered::default());
        let mut refused = Response::new(Body::empty());
        *refused.status_mut() = StatusCode::CONFLICT;
        drop(new(&answered).keep(refused));
        let unread = new(&answered).keep(Response::new(Body::from("yes")));
        drop(unread);
        let lost = begin(&answered, "b").err().unwrap();
        assert!(lost.message.contains("not kept"), "{lost}");
    }

    #[tokio::test]
    async fn a_long_answer_is_passed_on_and_not_kept() {
        let answered = Arc::new(Answered::default());
        let long = "a".repeat(ANSWER_MAX + 1);
        let passed = new(&answered).keep(Response::new(Body::from(long.clone())));
        assert_eq!(read(passed).await, long);
        assert!(begin(&answered, "b").is_err());
    }
}
