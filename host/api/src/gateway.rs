//! What every request passes before it is answered: who asks, whether they may, how often,
//! and, for orders, the record of them.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Extension,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use prunella_core::{
    Timestamp,
    access::{AuditEntry, Via},
    text::one_line,
};

use crate::{
    Answer, CSRF_HEADER, Gate, PEER_HEADER, Refusal, RefusalKind, SESSION_HEADER,
    buckets::Buckets,
    events::StillKnown,
    idempotency::{self, Begun},
    rights::{Caller, Known, Need, may, need, unauthorized},
    routes::{Account, Limits, Shared, extract::body_of},
    secret,
};

/// As much of an order's body is written down, in characters.
const ORDER_MAX: usize = 300;

/// The longest answer to a question that is waited for.
const QUESTION: Duration = Duration::from_secs(30);

/// Keys and peers that are remembered.
const NAMES: usize = 4_096;

/// Somebody at the other end, as far as they are known: a network address, or a user of this
/// host.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) String);

/// The user at the other end of the web socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerUser(pub(crate) Option<u32>);

/// How often who may do what.
#[derive(Debug)]
pub(crate) struct Paces {
    /// Wrong keys, by peer.
    wrong: Buckets,
    /// Wrong keys that are told of, by peer.
    told: Buckets,
    /// Requests, by key or session.
    known: Buckets,
    /// Requests without either, by peer.
    unknown: Buckets,
    /// Orders, by key or session.
    orders: Buckets,
    /// Orders that were refused and are written down, by key or session: nobody fills the
    /// record with what they may not do.
    refused: Buckets,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            wrong: Buckets::new(Duration::from_secs(10), 10, NAMES),
            told: Buckets::new(Duration::from_secs(3_600), 1, NAMES),
            known: Buckets::new(Duration::from_micros(2_500), 800, NAMES),
            unknown: Buckets::new(Duration::from_millis(50), 40, NAMES),
            orders: Buckets::new(Duration::from_millis(100), 60, NAMES),
            refused: Buckets::new(Duration::from_secs(10), 20, NAMES),
        }
    }
}

impl Paces {
    /// Refuses whoever has shown too many wrong keys: theirs is not even looked at.
    pub(crate) fn may_try(&self, peer: &Peer) -> Result<(), Refusal> {
        self.wrong
            .look(&peer.0, Instant::now())
            .map_err(|wait| too_many("too many wrong keys came from here", wait))
    }

    /// A key, a session or a link was wrong. The journal hears of it once an hour.
    pub(crate) fn wrong(&self, peer: &Peer, what: &str) {
        let now = Instant::now();
        if self.told.take(&peer.0, now).is_ok() {
            tracing::warn!(
                peer = %one_line(&peer.0, 80),
                "{} shows {what} that is not known, or no longer; more of that is slowed, and told \
                 of again in an hour at the earliest",
                one_line(&peer.0, 80)
            );
        }
        if self.wrong.take(&peer.0, now).is_err() {
            tracing::debug!("wrong keys from one place at the same time");
        }
    }

    /// Whether an order that was answered so is written down.
    fn is_worth_writing(&self, caller: &Caller, status: u16) -> bool {
        match caller {
            Caller::Known(known) if status == 403 => {
                self.refused.take(&known.hash, Instant::now()).is_ok()
            }
            _ => true,
        }
    }
}

fn too_many(why: &str, wait: Duration) -> Refusal {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Refusal::new(RefusalKind::TooMany, why).retry_after(seconds.max(1))
}

/// What is shown to be known by: a key's secret, or a session's.
#[derive(Clone, Copy)]
struct Shown<'a> {
    via: Via,
    secret: &'a str,
}

/// The key or session that a request shows, if it shows one.
fn shown(headers: &HeaderMap) -> Result<Option<Shown<'_>>, Refusal> {
    let bad = |why: &str| Refusal::new(RefusalKind::BadRequest, why);
    let text = |value: &axum::http::HeaderValue| {
        let text = value.to_str().ok().map(str::trim);
        text.filter(|text| text.len() <= secret::MAX).is_some()
    };
    let get = |name: &str| match headers.get(name) {
        None => Ok(None),
        Some(value) if text(value) => Ok(value.to_str().ok().map(str::trim)),
        Some(_) => Err(bad(&format!(
            "`{name}` has no key, and no session, of ours"
        ))),
    };
    let bearer = match get(AUTHORIZATION.as_str())? {
        None => None,
        Some(value) => match value.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Some(key.trim()),
            _ => return Err(unauthorized("`Authorization` has to be `Bearer KEY`")),
        },
    };
    match (get("x-api-key")?, bearer, get(SESSION_HEADER)?) {
        (None, None, None) => Ok(None),
        (Some(secret), None, None) | (None, Some(secret), None) => Ok(Some(Shown {
            via: Via::Key,
            secret,
        })),
        (None, None, Some(secret)) => Ok(Some(Shown {
            via: Via::Session,
            secret,
        })),
        _ => Err(bad("a request shows one key, or one session")),
    }
}

/// The network address that the web process tells, or else the user at the other end. Of an
/// IPv6 address the network counts: whoever has one has many of its addresses.
fn peer_of(headers: &HeaderMap, user: PeerUser) -> Peer {
    let told = headers
        .get(PEER_HEADER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse::<std::net::IpAddr>().ok());
    Peer(match (told, user.0) {
        (Some(std::net::IpAddr::V6(address)), _) => match address.to_ipv4_mapped() {
            Some(address) => address.to_string(),
            None => {
                let network = u128::from(address) >> 64 << 64;
                format!("{}/64", std::net::Ipv6Addr::from(network))
            }
        },
        (Some(address), _) => address.to_string(),
        (None, Some(uid)) => format!("uid {uid}"),
        (None, None) => "somebody on this host".to_owned(),
    })
}

/// Finds out who asks at the web door.
pub(crate) async fn identify(
    State(shared): State<Arc<Shared>>,
    user: Option<Extension<PeerUser>>,
    mut request: Request,
    next: Next,
) -> Response {
    let user = user.map_or(PeerUser(None), |Extension(user)| user);
    let peer = peer_of(request.headers(), user);
    let (headers, method) = (request.headers().clone(), request.method().clone());
    match known(&shared, &peer, &headers, &method).await {
        Ok((caller, still_known)) => {
            if let Some(name) = caller.shown() {
                request.extensions_mut().insert(Account(name));
            }
            let extensions = request.extensions_mut();
            extensions.insert(caller);
            extensions.insert(peer);
            if let Some(still_known) = still_known {
                extensions.insert(Watched(still_known));
            }
            next.run(request).await
        }
        Err(refusal) => refused(request, shared.limits, refusal).await,
    }
}

/// Refuses a request that has arrived: a connection that is closed while somebody still sends
/// may take the answer with it.
async fn refused(request: Request, limits: Limits, refusal: Refusal) -> Response {
    // Whatever it was, it is refused.
    drop(body_of(request.into_body(), limits).await);
    refusal.into_response()
}

/// Tells whether who asked is still known later on.
#[derive(Clone)]
pub(crate) struct Watched(pub(crate) StillKnown);

async fn known(
    shared: &Arc<Shared>,
    peer: &Peer,
    headers: &HeaderMap,
    method: &Method,
) -> Result<(Caller, Option<StillKnown>), Refusal> {
    let now = Instant::now();
    let Some(shown) = shown(headers)? else {
        let taken = shared.paces.unknown.take(&peer.0, now);
        taken.map_err(|wait| too_many("too many requests came from here", wait))?;
        return Ok((Caller::Nobody, None));
    };
    let Shown { via, secret } = shown;
    let hash = secret::hash(secret);
    // Wrong keys from the same place, behind one proxy say, lock nobody out who was right.
    if via == Via::Key && !shared.paces.known.knows(&hash) {
        shared.paces.may_try(peer)?;
    }
    let find = {
        let gate = Arc::clone(&shared.door.gate);
        move || holder(&*gate, via, &hash)
    };
    let found = shared.blocking(find.clone()).await?;
    let Some(known) = found else {
        if via == Via::Key {
            shared.paces.wrong(peer, "a key");
            return Err(unauthorized(
                "this key is not known: it is wrong, was revoked, or its time is over",
            ));
        }
        // Every session ends, and its browser may not know yet: that is no reason to keep
        // whoever else comes from there from logging in.
        let taken = shared.paces.unknown.take(&peer.0, now);
        taken.map_err(|wait| too_many("too many requests came from here", wait))?;
        return Err(unauthorized("this session is over"));
    };
    let taken = shared.paces.known.take(&known.hash, now);
    taken.map_err(|wait| too_many("too many requests came with this key", wait))?;
    if !is_reading(method) {
        let taken = shared.paces.orders.take(&known.hash, now);
        taken.map_err(|wait| too_many("too many orders came with this key", wait))?;
    }
    if via == Via::Session && !is_reading(method) && !has_csrf_token(headers, secret) {
        return Err(Refusal::new(
            RefusalKind::NotAllowed,
            "the CSRF token of the session is missing, or wrong",
        )
        .help("load the page again, and send its token in `X-CSRF-Token`"));
    }
    let still: StillKnown = Arc::new(move || find().is_ok_and(|found| found.is_some()));
    Ok((Caller::Known(known), Some(still)))
}

/// Whoever holds the key, or the session, with this hash; nobody where it is good for nothing.
fn holder(gate: &dyn Gate, via: Via, hash: &str) -> Answer<Option<Known>> {
    let known = |name, role, unit| Known {
        name,
        role,
        unit,
        via,
        hash: hash.to_owned(),
    };
    Ok(match via {
        Via::Key => gate
            .key(hash)?
            .map(|key| known(key.name.to_string(), key.role, key.unit)),
        Via::Session => gate
            .session(hash)?
            .map(|session| known(session.name, session.role, None)),
        // Root comes to another socket.
        Via::Root => None,
    })
}

/// A token that is compared byte by byte tells nothing by the time that takes: it is a hash
/// that nobody can steer.
fn has_csrf_token(headers: &HeaderMap, session: &str) -> bool {
    headers
        .get(CSRF_HEADER)
        .is_some_and(|token| token.as_bytes() == secret::csrf_token(session).as_bytes())
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The unit that an address names, if it names one.
fn named(path: &str) -> Option<String> {
    let mut parts = path.strip_prefix("/api/v1/")?.split('/');
    let of = parts.next()?;
    if !matches!(of, "services" | "health") {
        return None;
    }
    let unit = percent_encoding::percent_decode_str(parts.next()?).decode_utf8();
    unit.ok().map(|unit| unit.into_owned())
}

/// Lets through what the caller may ask for, and writes orders down.
pub(crate) async fn judge(
    State(shared): State<Arc<Shared>>,
    caller: Option<Extension<Caller>>,
    pattern: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let Some(Extension(caller)) = caller else {
        let refusal = Refusal::new(RefusalKind::NotAllowed, "nobody says who is asking");
        return refusal.into_response();
    };
    let pattern = pattern.as_ref().map_or("", MatchedPath::as_str);
    let need = need(request.method(), pattern);
    let verdict = may(&caller, need, named(request.uri().path()).as_deref());
    if is_reading(request.method()) {
        return match verdict {
            Ok(()) => answer_in_time(request, next).await,
            Err(refusal) => refusal.into_response(),
        };
    }
    // A hook tells of a failure, which the incident has; a login is written down where it
    // is known whose it is.
    let is_recorded = need != Need::Anyone && pattern != "/api/v1/services/{unit}/failures";
    let Some(via) = caller.via().filter(|_| is_recorded) else {
        return match verdict {
            Ok(()) => next.run(request).await,
            Err(refusal) => refused(request, shared.limits, refusal).await,
        };
    };
    let account = request.extensions().get::<Account>();
    let mut entry = AuditEntry {
        seq: 0,
        at: Timestamp::from(SystemTime::now()),
        by: account.map_or_else(|| "root".to_owned(), |Account(name)| name.clone()),
        via,
        method: request.method().to_string(),
        address: one_line(request.uri().path(), 300),
        order: None,
        status: 0,
        peer: request
            .extensions()
            .get::<Peer>()
            .map(|peer| peer.0.clone()),
    };
    let response = match verdict {
        Ok(()) => match carried_out(&shared, &caller, &mut entry, request, next).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        },
        Err(refusal) => refused(request, shared.limits, refusal).await,
    };
    entry.status = response.status().as_u16();
    if shared.paces.is_worth_writing(&caller, entry.status) {
        shared.record(entry).await;
    }
    response
}

async fn answer_in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(QUESTION, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(RefusalKind::Busy, "the answer took too long")
            .help("ask again later, or for less")
            .into_response(),
    }
}

/// Carries an order out, or answers it as before.
async fn carried_out(
    shared: &Arc<Shared>,
    caller: &Caller,
    entry: &mut AuditEntry,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let body = body_of(body, shared.limits).await?;
    entry.order = (!body.is_empty())
        .then(|| one_line(&String::from_utf8_lossy(&body), ORDER_MAX))
        .filter(|text| !text.is_empty());
    let Some(key) = idempotency::key(&parts.headers)? else {
        return Ok(next.run(Request::from_parts(parts, Body::from(body))).await);
    };
    let whose = match caller {
        Caller::Known(known) => known.hash.as_str(),
        _ => "root",
    };
    let place = format!("{whose} {} {} {key}", parts.method, parts.uri);
    let hash = secret::hash(&String::from_utf8_lossy(&body));
    match shared.answered.begin(place, hash, Instant::now())? {
        Begun::Again(response) => Ok(response),
        Begun::New(keeper) => {
            let request = Request::from_parts(parts, Body::from(body));
            Ok(keeper.keep(next.run(request).await))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                let name = axum::http::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[rstest]
    #[case::key(&[("x-api-key", "k")], Some(true))]
    #[case::bearer(&[("authorization", "bearer k")], Some(true))]
    #[case::session(&[(SESSION_HEADER, "s")], Some(true))]
    #[case::nothing(&[], Some(false))]
    #[case::both(&[("x-api-key", "k"), (SESSION_HEADER, "s")], None)]
    #[case::two_keys(&[("x-api-key", "k"), ("authorization", "Bearer k")], None)]
    #[case::basic(&[("authorization", "Basic YTpi")], None)]
    fn what_is_shown(#[case] pairs: &[(&'static str, &str)], #[case] expected: Option<bool>) {
        let headers = headers(pairs);
        assert_eq!(shown(&headers).ok().map(|shown| shown.is_some()), expected);
    }

    #[test]
    fn a_secret_that_is_too_long_is_not_looked_at() {
        let long = "a".repeat(secret::MAX + 1);
        assert!(shown(&headers(&[("x-api-key", &long)])).is_err());
    }

    #[rstest]
    #[case::address(Some("192.0.2.7"), "192.0.2.7")]
    #[case::mapped(Some("::ffff:192.0.2.7"), "192.0.2.7")]
    #[case::network(Some("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")]
    #[case::nonsense(Some("a b"), "uid 7")]
    #[case::nothing(None, "uid 7")]
    fn peers(#[case] told: Option<&str>, #[case] expected: &str) {
        let pairs: Vec<(&'static str, &str)> =
            told.map(|told| (PEER_HEADER, told)).into_iter().collect();
        assert_eq!(peer_of(&headers(&pairs), PeerUser(Some(7))).0, expected);
    }

    #[rstest]
    #[case::service("/api/v1/services/a%40b.service", Some("a@b.service"))]
    #[case::health("/api/v1/health/a.service", Some("a.service"))]
    #[case::another("/api/v1/incidents/a.service", None)]
    #[case::root("/health", None)]
    fn units_that_are_named(#[case] path: &str, #[case] expected: Option<&str>) {
        assert_eq!(named(path).as_deref(), expected);
    }

    #[test]
    fn wrong_keys_are_slowed_by_peer() {
        let paces = Paces::default();
        let (one, other) = (Peer("192.0.2.1".into()), Peer("192.0.2.2".into()));
        for _ in 0..10 {
            assert!(paces.may_try(&one).is_ok());
            paces.wrong(&one, "a key");
        }
        let refusal = paces.may_try(&one).unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::TooMany);
        assert_eq!(refusal.retry_after_s, Some(10));
        assert!(paces.may_try(&other).is_ok());
    }
}
