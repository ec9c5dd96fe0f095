//! Orders.

use axum::{Extension, extract::State};
use prunella_core::{ChannelName, UnitName, health::ExpectedWork, oversight::Approval};

use super::{
    Account, Api,
    extract::{Input, Named, Reply},
};
use crate::{
    Accepted, ChannelTest, DecideCall, ExpectCall, HookCall, Monitor, PauseCall, PauseStatus,
    Refusal, RefusalKind, Reloaded, ResumeCall, Resumed, Retried, UndoCall, UndoOptions, Undone,
    message::Decision,
};

pub(super) async fn hook(
    State(shared): Api,
    Named(unit): Named<UnitName>,
    Input(monitor): Input<Monitor>,
) -> Reply<Accepted> {
    shared
        .order(move |orders| orders.hook(&HookCall { unit, monitor }))
        .await
}

pub(super) async fn decide(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Named(id): Named<String>,
    Input(decision): Input<Decision>,
) -> Reply<Approval> {
    let reason = decision.reason.filter(|reason| !reason.trim().is_empty());
    if let Some(reason) = &reason {
        check_reason(reason)?;
    }
    let call = DecideCall {
        id,
        approve: decision.approve,
        by: known(account, decision.by),
        reason,
    };
    shared.order(move |orders| orders.decide(&call)).await
}

pub(super) async fn undo(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Named(incident): Named<String>,
    Input(options): Input<UndoOptions>,
) -> Reply<Undone> {
    let call = UndoCall {
        incident,
        by: known(account, options.by),
        dry_run: options.dry_run,
    };
    shared.order(move |orders| orders.undo(&call)).await
}

/// Who gives an order: the account that the door knows, or else the name that the
/// order gives.
pub(super) fn known(account: Option<Extension<Account>>, said: String) -> String {
    account.map_or(said, |Extension(Account(name))| name)
}

/// The longest reason, in characters, as the command has it.
const REASON_MAX: usize = 500;

fn check_reason(reason: &str) -> Result<(), Refusal> {
    let length = reason.chars().count();
    if reason.trim().is_empty() || length > REASON_MAX {
        let why = format!("`reason` has to be 1 to {REASON_MAX} characters");
        return Err(Refusal::new(RefusalKind::BadRequest, why));
    }
    Ok(())
}

pub(super) async fn pause(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Input(mut call): Input<PauseCall>,
) -> Reply<PauseStatus> {
    call.by = known(account, call.by);
    check_reason(&call.reason)?;
    shared.order(move |orders| orders.pause(&call)).await
}

pub(super) async fn resume_all(State(shared): Api) -> Reply<Resumed> {
    shared
        .order(|orders| orders.resume(&ResumeCall { unit: None }))
        .await
}

pub(super) async fn resume(State(shared): Api, Named(unit): Named<UnitName>) -> Reply<Resumed> {
    let call = ResumeCall { unit: Some(unit) };
    shared.order(move |orders| orders.resume(&call)).await
}

pub(super) async fn expect_work(
    State(shared): Api,
    account: Option<Extension<Account>>,
    Input(mut call): Input<ExpectCall>,
) -> Reply<ExpectedWork> {
    call.by = known(account, call.by);
    check_reason(&call.reason)?;
    shared.order(move |orders| orders.expect_work(&call)).await
}

pub(super) async fn end_expected_work(
    State(shared): Api,
    Named(unit): Named<UnitName>,
) -> Reply<bool> {
    shared
        .order(move |orders| orders.end_expected_work(&unit))
        .await
}

pub(super) async fn retry_all(State(shared): Api) -> Reply<Retried> {
    shared.order(|orders| orders.retry_alerts(None)).await
}

pub(super) async fn retry(State(shared): Api, Named(id): Named<String>) -> Reply<Retried> {
    shared
        .order(move |orders| orders.retry_alerts(Some(&id)))
        .await
}

pub(super) async fn test_channel(
    State(shared): Api,
    Named(channel): Named<ChannelName>,
) -> Reply<ChannelTest> {
    shared
        .order(move |orders| orders.test_channel(&channel))
        .await
}

pub(super) async fn reload(State(shared): Api) -> Reply<Reloaded> {
    shared.order(|orders| orders.reload()).await
}
