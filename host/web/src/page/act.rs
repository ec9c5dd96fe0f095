//! What people order from the pages. What has consequences shows them first, and is done
//! only when its own button says so.

use std::time::Duration;

use askama::Template;
use axum::{
    Form,
    extract::Path,
    response::{IntoResponse as _, Redirect, Response},
};
use http_body_util::BodyExt as _;
use hyper::{Method, body::Incoming};
use prunella_api::{Decision, HealLine, HealOptions, PauseCall, UndoOptions, Undone};
use prunella_core::{UnitName, incident::IncidentId, text::capital};
use serde::Deserialize;
use serde_json::Value;

use super::{Frame, Visitor, now, render, trouble};
use crate::daemon::{Fault, part};

/// The longest line of a healing in bytes.
const LINE: usize = 1 << 20;

/// Steps of a dry run that are shown.
const STEPS: usize = 300;

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm {
    frame: Frame,
    question: String,
    /// What would be done.
    plan: Vec<String>,
    beneath: String,
    /// Whether there is anything to confirm.
    possible: bool,
    action: String,
    button: &'static str,
    back: String,
}

/// What every form carries.
#[derive(Debug, Deserialize)]
pub struct Token {
    pub csrf: String,
}

/// A form whose act shows its plan first.
#[derive(Debug, Deserialize)]
pub struct Planned {
    csrf: String,
    /// Whether the plan was seen.
    #[serde(default)]
    confirm: String,
}

impl Planned {
    fn is_confirmed(&self) -> bool {
        self.confirm == "yes"
    }
}

fn on_to(address: &str) -> Response {
    Redirect::to(address).into_response()
}

impl Visitor {
    async fn order(
        &self,
        csrf: &str,
        method: Method,
        address: &str,
        body: &impl serde::Serialize,
    ) -> Result<Value, Response> {
        self.app
            .daemon
            .order(&self.caller, csrf, method, address, body)
            .await
            .map_err(|fault| trouble::page(&fault))
    }
}

/// `POST /services/{unit}/heal`: what healing would do, then heals.
pub async fn heal(
    visitor: Visitor,
    Path(name): Path<String>,
    Form(form): Form<Planned>,
) -> Result<Response, Response> {
    let Ok(unit) = UnitName::new(name) else {
        return Ok(trouble::missing());
    };
    let address = format!("/services/{}/heal", part(unit.as_str()));
    let options = HealOptions {
        dry_run: !form.is_confirmed(),
        restart: false,
    };
    let mut body = visitor
        .app
        .daemon
        .order_stream(&visitor.caller, &form.csrf, &address, &options)
        .await
        .map_err(|fault| trouble::page(&fault))?;
    let page = format!("/services/{}", part(unit.as_str()));
    let mut plan = Vec::new();
    let mut waiting = Vec::new();
    while let Some(line) = line(&mut body, &mut waiting)
        .await
        .map_err(|fault| trouble::page(&fault))?
    {
        match line {
            // It goes on without anybody who waits for it, and its page shows it.
            HealLine::Step(entry) if form.is_confirmed() => {
                return Ok(on_to(&incident(&entry.incident)));
            }
            HealLine::Step(entry) if plan.len() < STEPS => {
                plan.push(capital(&prunella_report::describe(&entry.step).text));
            }
            HealLine::Step(_) => {}
            HealLine::Ended { incident: id, .. } if form.is_confirmed() => {
                return Ok(on_to(&incident(&id)));
            }
            HealLine::Ended { ending, .. } => {
                plan.extend(ending.why().map(|why| capital(&why)));
                break;
            }
            HealLine::Refused(refusal) => {
                plan.push(capital(&refusal.message));
                return Ok(render(&Confirm {
                    frame: visitor.frame(format!("Heal {unit}"), "overview"),
                    question: format!("{unit} is not healed now"),
                    plan,
                    beneath: refusal.help.unwrap_or_default(),
                    possible: false,
                    action: String::new(),
                    button: "",
                    back: page,
                }));
            }
        }
    }
    Ok(render(&Confirm {
        frame: visitor.frame(format!("Heal {unit}"), "overview"),
        question: format!("Heal {unit} now?"),
        plan,
        beneath: "This was a dry run: nothing was done yet.".to_owned(),
        possible: true,
        action: format!("{page}/heal"),
        button: "Heal it now",
        back: page,
    }))
}

fn incident(id: &IncidentId) -> String {
    format!("/incidents/{}", part(id.as_str()))
}

/// The next line of a healing.
async fn line(body: &mut Incoming, waiting: &mut Vec<u8>) -> Result<Option<HealLine>, Fault> {
    loop {
        if let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let line = serde_json::from_slice(&line)
                .map_err(|error| Fault::NotUnderstood(error.to_string()))?;
            return Ok(Some(line));
        }
        if waiting.len() > LINE {
            return Err(Fault::NotUnderstood(format!(
                "a line is longer than {LINE} bytes"
            )));
        }
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                waiting.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            }
            Some(Err(_)) => {
                return Err(Fault::Away(
                    "the daemon ended in the middle of an answer".into(),
                ));
            }
        }
    }
}

/// What is paused, for how long, and why.
#[derive(Debug, Deserialize)]
pub struct Pause {
    csrf: String,
    /// Everything, when empty.
    #[serde(default)]
    unit: String,
    /// Minutes; until it is resumed, when empty.
    #[serde(default, rename = "for")]
    minutes: String,
    #[serde(default)]
    reason: String,
}

/// `POST /pauses`
pub async fn pause(visitor: Visitor, Form(form): Form<Pause>) -> Result<Response, Response> {
    let Some((unit, back)) = form.about() else {
        return Ok(trouble::missing());
    };
    let until = match form.minutes.as_str() {
        "" => None,
        minutes => match minutes.parse::<u32>() {
            Ok(minutes) => Some(now().saturating_add(Duration::from_secs(u64::from(minutes) * 60))),
            Err(_) => return Err(trouble::bad("A pause lasts a whole number of minutes.")),
        },
    };
    let reason = match form.reason.trim() {
        "" => "paused from the web pages",
        reason => reason,
    };
    let call = PauseCall {
        unit,
        until,
        reason: reason.to_owned(),
        // The daemon knows whose session it is.
        by: String::new(),
    };
    visitor
        .order(&form.csrf, Method::POST, "/pauses", &call)
        .await?;
    Ok(on_to(&back))
}

/// `POST /resume`
pub async fn resume(visitor: Visitor, Form(form): Form<Pause>) -> Result<Response, Response> {
    let Some((unit, back)) = form.about() else {
        return Ok(trouble::missing());
    };
    let address = match unit {
        Some(unit) => format!("/pauses/{}", part(unit.as_str())),
        None => "/pauses".to_owned(),
    };
    visitor
        .order(&form.csrf, Method::DELETE, &address, &Value::Null)
        .await?;
    Ok(on_to(&back))
}

impl Pause {
    /// The unit, where it is not everything, and where to go afterwards; nothing, when the
    /// name is none.
    fn about(&self) -> Option<(Option<UnitName>, String)> {
        if self.unit.is_empty() {
            return Some((None, "/".to_owned()));
        }
        let unit = UnitName::new(self.unit.clone()).ok()?;
        let back = format!("/services/{}", part(unit.as_str()));
        Some((Some(unit), back))
    }
}

/// What a person says to an act that waits.
#[derive(Debug, Deserialize)]
pub struct Decide {
    csrf: String,
    decision: String,
    #[serde(default)]
    reason: String,
}

/// `POST /approvals/{id}`
pub async fn decide(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(form): Form<Decide>,
) -> Result<Response, Response> {
    let approve = match form.decision.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(trouble::bad("A decision is to approve or to deny.")),
    };
    let reason = form.reason.trim();
    let decision = Decision {
        approve,
        by: String::new(),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
    };
    let address = format!("/approvals/{}/decision", part(&id));
    visitor
        .order(&form.csrf, Method::POST, &address, &decision)
        .await?;
    Ok(on_to("/needs-you"))
}

/// `POST /incidents/{id}/undo`: what would be undone, then undoes it.
pub async fn undo(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(form): Form<Planned>,
) -> Result<Response, Response> {
    let page = format!("/incidents/{}", part(&id));
    let options = UndoOptions {
        by: String::new(),
        dry_run: !form.is_confirmed(),
    };
    let undone: Undone = visitor
        .app
        .daemon
        .order(
            &visitor.caller,
            &form.csrf,
            Method::POST,
            &format!("{page}/undo"),
            &options,
        )
        .await
        .map_err(|fault| trouble::page(&fault))?;
    if form.is_confirmed() {
        return Ok(on_to(&page));
    }
    let plan: Vec<String> = undone
        .acts
        .iter()
        .map(|act| match &act.result {
            Ok(text) => capital(text),
            Err(failure) => {
                let act = prunella_report::shown_act(&act.act, &act.name);
                format!("Not to be undone ({act}): {}", failure.message)
            }
        })
        .collect();
    let possible = undone.acts.iter().any(|act| act.result.is_ok());
    Ok(render(&Confirm {
        frame: visitor.frame(format!("Undo {}", undone.incident), "incidents"),
        question: match possible {
            true => format!("Undo what was done for {}?", undone.unit),
            false => "Nothing of it can be undone".to_owned(),
        },
        plan,
        beneath: "Nothing was undone yet.".to_owned(),
        possible,
        action: format!("{page}/undo"),
        button: "Undo it now",
        back: page,
    }))
}

/// `POST /alerts/{id}/retry`
pub async fn retry(
    visitor: Visitor,
    Path(id): Path<String>,
    Form(form): Form<Token>,
) -> Result<Response, Response> {
    let address = format!("/alerts/{}/retry", part(&id));
    visitor
        .order(&form.csrf, Method::POST, &address, &Value::Null)
        .await?;
    Ok(on_to("/alerts"))
}
