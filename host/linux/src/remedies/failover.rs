//! `failover`: a standby takes the place of the service.
//!
//! 1. the standby is proven able;
//! 2. the service is *fenced* ([`fence`]), stopped, and proven down;
//! 3. the standby is started or promoted, and is up.
//!
//! No step begins before the one before it is proven, so the two never serve at once. The fence
//! says which step was reached, and is taken away last: that is how much there is to undo.

mod fence;

use std::time::{Duration, Instant};

use prunella_core::{
    Failure, FailureKind, UnitName,
    capability::{ActiveState, Answer, Goal, UnitAct, UnitStatus},
    remedy::{FailedOver, Failover, Lease, LeaseEnds, Plan, Receipt, StandbyIs, Undo, UndoReason},
    text::one_line,
};

use self::fence::{Fence, Stage};
pub(super) use self::fence::{Request, carry_out};
use super::{
    Tools,
    helper::{Helper, Request as HelperRequest},
};
use crate::job::word;

/// How long systemd may take for one unit.
const JOB: Duration = Duration::from_secs(95);

/// How long processes may take to go once their unit is down.
const LEAVE: Duration = Duration::from_secs(10);

/// Between two looks for them.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Characters of what a check says.
const SAID: usize = 200;

pub(super) struct FailoverHere<'a> {
    pub(super) helper: &'a Helper,
    pub(super) tools: &'a Tools,
    /// The service in care.
    pub(super) primary: &'a UnitName,
}

impl FailoverHere<'_> {
    pub(super) fn plan(&self, deadline: Instant, name: &str, declared: &Failover) -> Answer<Plan> {
        let primary = self.tools.units.get(deadline, self.primary)?;
        if let Some(because) = self.stays(deadline, &primary, declared)? {
            return Ok(Plan::nothing(because));
        }
        let mut unable = Vec::new();
        for standby in &declared.standbys {
            match self.is_able(deadline, &primary, standby, declared)? {
                Ok(standby) => return Ok(plan(name, declared, &primary, standby)),
                Err(because) => unable.push(because),
            }
        }
        Ok(Plan::nothing(unable.join(", ")))
    }

    /// Why nothing may take the place of the primary.
    fn stays(
        &self,
        deadline: Instant,
        primary: &UnitStatus,
        declared: &Failover,
    ) -> Answer<Option<String>> {
        let name = &primary.name;
        if let Some(fence) = fence::read(name)? {
            let standby = fence.standby;
            return Ok(Some(format!("{name} is failed over to {standby} already")));
        }
        if !primary.is_settled() {
            let state = primary.active_state.as_str();
            return Ok(Some(format!("{name} is {state}, and not down for good")));
        }
        for socket in primary
            .triggered_by
            .iter()
            .filter(|it| it.kind() == "socket")
        {
            if self.tools.units.get(deadline, socket)?.is_up() {
                return Ok(Some(format!("{socket} is up, and holds its address")));
            }
        }
        if declared.standby_is == StandbyIs::Running {
            return Ok(None);
        }
        for standby in &declared.standbys {
            if self.find(deadline, standby)?.is_some_and(|it| it.is_live()) {
                return Ok(Some(if primary.is_up() {
                    format!("split: {name} and {standby} both run")
                } else {
                    format!("{standby} runs already")
                }));
            }
        }
        Ok(None)
    }

    /// The standby by its canonical name, where it is able to serve; else why it is not.
    fn is_able(
        &self,
        deadline: Instant,
        primary: &UnitStatus,
        standby: &UnitName,
        declared: &Failover,
    ) -> Answer<Result<UnitName, String>> {
        let Some(status) = self.find(deadline, standby)? else {
            return Ok(Err(format!("there is no {standby}")));
        };
        if let Some(because) = unfit(&status, declared.standby_is) {
            return Ok(Err(format!("{standby} {because}")));
        }
        let standby = status.name;
        if standby == primary.name {
            return Ok(Err(format!("{standby} is the service itself")));
        }
        if let Some(fence) = fence::read(&standby)? {
            let other = fence.standby;
            return Ok(Err(format!("{standby} is failed over to {other} itself")));
        }
        for other in &status.conflicts {
            // Its start stops the primary again, which is down.
            if *other != primary.name
                && other.kind() != "target"
                && self.find(deadline, other)?.is_some_and(|it| it.is_live())
            {
                return Ok(Err(format!("a start of {standby} would stop {other}")));
            }
        }
        if let Some(able) = &declared.able
            && let Err(said) = self.passes(deadline, able, &standby)?
        {
            return Ok(Err(format!("{standby} is not able: {said}")));
        }
        Ok(Ok(standby))
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        declared: &Failover,
        over: &FailedOver,
    ) -> Answer<Receipt> {
        let FailedOver {
            primary, standby, ..
        } = over;
        self.put(deadline, over, Stage::Fenced)?;
        self.stop(deadline, primary)?;
        if let Some(fenced) = &declared.fenced {
            self.check(deadline, fenced, primary)?;
        }
        self.put(deadline, over, Stage::TakingOver)?;
        self.serve(deadline, over)?;
        // Nothing could have started it: this is the proof.
        self.is_down(deadline, primary)?;
        self.put(deadline, over, Stage::TakenOver)?;
        Ok(Receipt::done(format!(
            "failed `{}` over: {primary} is stopped, and {standby} runs in its place",
            over.name
        )))
    }

    /// Starts the standby, and promotes it.
    fn serve(&self, deadline: Instant, over: &FailedOver) -> Answer<()> {
        self.start(deadline, &over.standby)?;
        match &over.promote {
            Some(promote) => self.check(deadline, promote, &over.standby),
            None => Ok(()),
        }
    }

    /// Takes a failover back, as far as it has come. The primary is started where it was up
    /// before, or is to have its place again; where it does not start then, the standby serves
    /// on.
    pub(super) fn undo(
        &self,
        deadline: Instant,
        over: &FailedOver,
        why: UndoReason,
    ) -> Answer<String> {
        let FailedOver {
            primary, standby, ..
        } = over;
        let Some(fence) = fence::read(primary)? else {
            return Ok(format!("{primary} is not failed over"));
        };
        if fence.standby != *standby {
            let other = fence.standby;
            return Ok(format!("{primary} is failed over to {other} since"));
        }
        if why == UndoReason::CutOff && fence.stage == Stage::TakenOver {
            return Err(Failure::failed(
                FailedOver::COMPLETE,
                format!("it was done: {standby} runs in its place"),
            ));
        }
        let has_served = fence.stage == Stage::TakenOver;
        let goes_back = !matches!(why, UndoReason::CutOff | UndoReason::NoHelp);
        if goes_back && fence.stage != Stage::Open {
            self.may_go_back(deadline, over)?;
        }
        if fence.stage != Stage::Open {
            if let Err(failure) = self.let_go(deadline, over, fence.stage, goes_back) {
                return Err(match goes_back {
                    true => self.serve_on(deadline, over, &failure),
                    false => failure,
                });
            }
            self.put(deadline, over, Stage::Open)?;
        }
        let mut done = format!("{standby} does not serve any more, and {primary} may");
        if goes_back || over.was_up {
            // It may have been started too often before it was given up.
            match self
                .tools
                .control
                .reset_failed(deadline, primary)
                .and_then(|()| self.start(deadline, primary))
            {
                Ok(()) => {
                    done = format!("failed back: {primary} runs, and {standby} does not serve")
                }
                Err(failure) if goes_back && has_served => {
                    return Err(self.serve_on(deadline, over, &failure));
                }
                Err(failure) => done = format!("{done}; {failure}"),
            }
        }
        self.remove(deadline, primary)?;
        Ok(done)
    }

    /// Whether a person or policy can have the primary serve again.
    fn may_go_back(&self, deadline: Instant, over: &FailedOver) -> Answer<()> {
        let FailedOver {
            primary, standby, ..
        } = over;
        let refused = |why: String| Err(Failure::failed("no-fail-back", why));
        if let Some(fence) = fence::read(standby)? {
            let other = fence.standby;
            return refused(format!(
                "{standby} is failed over to {other} itself: undo that first"
            ));
        }
        if over.standby_is == StandbyIs::Running && over.demote.is_none() {
            return refused(format!(
                "{standby} was promoted, and no `demote` is declared that takes that back"
            ));
        }
        let status = self.tools.units.get(deadline, primary)?;
        if status.load_state != "loaded" {
            return refused(format!("{primary} is {}", status.load_state));
        }
        if let Some(able) = &over.able
            && let Err(said) = self.passes(deadline, able, primary)?
        {
            return refused(format!("{primary} is not able: {said}"));
        }
        Ok(())
    }

    /// Has the standby serve no more: it is proven down, and what promoted it is taken back.
    /// One that was not touched yet stays as it is.
    fn let_go(
        &self,
        deadline: Instant,
        over: &FailedOver,
        stage: Stage,
        goes_back: bool,
    ) -> Answer<()> {
        if stage == Stage::Fenced {
            return Ok(());
        }
        self.stop(deadline, &over.standby)?;
        let Some(demote) = &over.demote else {
            return Ok(());
        };
        match self.check(deadline, demote, &over.standby) {
            // What promoted it may not have come so far, and the fence has to go.
            Err(failure) if !goes_back => {
                tracing::warn!("{} is not demoted: {failure}", over.standby);
                Ok(())
            }
            result => result,
        }
    }

    /// The primary does not serve again: the standby goes on. Answers with what to tell.
    fn serve_on(&self, deadline: Instant, over: &FailedOver, because: &Failure) -> Failure {
        let FailedOver {
            primary, standby, ..
        } = over;
        let again = self
            .put(deadline, over, Stage::TakingOver)
            .and_then(|()| self.stop(deadline, primary))
            .and_then(|()| self.serve(deadline, over))
            .and_then(|()| self.put(deadline, over, Stage::TakenOver));
        Failure::failed(
            FailedOver::DID_NOT_FAIL_BACK,
            match again {
                Ok(()) => format!("{because}; {standby} serves on"),
                Err(failure) => format!("{because}; {standby} does not serve either: {failure}"),
            },
        )
    }

    /// Writes the fence, and sees that systemd holds to it.
    fn put(&self, deadline: Instant, over: &FailedOver, stage: Stage) -> Answer<()> {
        let primary = &over.primary;
        let fence = Fence {
            unit: primary.clone(),
            standby: over.standby.clone(),
            stage,
        };
        self.ask(
            deadline,
            &format!("fence of {primary}"),
            Request::Put(fence),
        )?;
        // It says the same to systemd.
        if stage == Stage::TakingOver {
            let status = self.tools.units.get(deadline, primary)?;
            if status.start_rules.refuses_manual_start {
                return Ok(());
            }
        }
        self.tools.control.reload_all(deadline)?;
        let status = self.tools.units.get(deadline, primary)?;
        let closed = stage != Stage::Open;
        if closed && !status.start_rules.refuses_manual_start {
            return Err(Failure::failed(
                "not-fenced",
                format!("systemd would still start {primary}"),
            ));
        }
        Ok(())
    }

    fn remove(&self, deadline: Instant, primary: &UnitName) -> Answer<()> {
        let request = Request::Remove {
            unit: primary.clone(),
        };
        self.ask(
            deadline,
            &format!("removal of the fence of {primary}"),
            request,
        )?;
        self.tools.control.reload_all(deadline)
    }

    fn ask(&self, deadline: Instant, what: &str, request: Request) -> Answer<String> {
        let request = HelperRequest::Failover(request);
        self.helper
            .run(deadline, what, &request, fence::sandbox(), fence::LIMIT)?
            .taken_back()
    }

    /// Stops a unit, and proves it down.
    fn stop(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let status = self.tools.units.get(deadline, unit)?;
        if status.is_live() {
            self.job(deadline, unit, UnitAct::Stop)?;
        }
        self.is_down(deadline, unit)
    }

    /// Whether nothing of a unit is left, once its processes had the time to go.
    fn is_down(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        let until = deadline.min(Instant::now() + LEAVE);
        loop {
            let Some(because) = self.tools.not_down(deadline, unit)? else {
                return Ok(());
            };
            if Instant::now() >= until {
                return Err(Failure::failed(
                    "not-down",
                    format!("{unit} cannot be proven down: {because}"),
                ));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts a unit, and sees that it is up.
    fn start(&self, deadline: Instant, unit: &UnitName) -> Answer<()> {
        if self.tools.units.get(deadline, unit)?.is_up() {
            return Ok(());
        }
        self.job(deadline, unit, UnitAct::Start)?;
        let up = self.tools.units.wait(deadline, unit, Goal::Up, JOB);
        up.map(drop)
    }

    fn job(&self, deadline: Instant, unit: &UnitName, act: UnitAct) -> Answer<()> {
        let ended = self.tools.control.carry_out(deadline, unit, act, JOB)?;
        if ended == "done" {
            return Ok(());
        }
        Err(Failure::failed(
            "job",
            format!("systemd ended the {} of {unit} with `{ended}`", word(act)),
        ))
    }

    /// Has a declared check pass, asked about this unit.
    fn check(&self, deadline: Instant, name: &str, unit: &UnitName) -> Answer<()> {
        self.passes(deadline, name, unit)?
            .map_err(|said| Failure::failed("check-failed", said))
    }

    /// Whether a declared check passes, asked about this unit; else what it says.
    fn passes(&self, deadline: Instant, name: &str, unit: &UnitName) -> Answer<Result<(), String>> {
        let report = self
            .tools
            .checks
            .run_about(deadline, name, unit, Vec::new())?;
        if report.passed {
            return Ok(Ok(()));
        }
        let said = report.output.lines().next_back().unwrap_or_default();
        Ok(Err(match one_line(said, SAID).as_str() {
            "" => format!("check `{name}` does not pass"),
            said => format!("check `{name}` does not pass: {said}"),
        }))
    }

    /// How a unit stands; none where there is none of that name.
    fn find(&self, deadline: Instant, unit: &UnitName) -> Answer<Option<UnitStatus>> {
        match self.tools.units.get(deadline, unit) {
            Ok(status) if status.exists() => Ok(Some(status)),
            Ok(_) => Ok(None),
            Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Why a unit is no standby that could take over, by how it stands.
fn unfit(status: &UnitStatus, standby_is: StandbyIs) -> Option<String> {
    if status.load_state != "loaded" {
        return Some(format!("is {}", status.load_state));
    }
    let settles = |action: &str| action.is_empty() || action == "none";
    if !settles(&status.start_limit_action) || !settles(&status.failure_action) {
        return Some("may take the host down when it fails".to_owned());
    }
    match standby_is {
        StandbyIs::Running if !status.is_up() => return Some("does not run".to_owned()),
        StandbyIs::Running => return None,
        StandbyIs::Stopped => {}
    }
    if status.active_state == ActiveState::Failed {
        return Some("has failed itself".to_owned());
    }
    if !status.is_settled() {
        return Some(format!("is {}", status.active_state.as_str()));
    }
    if status.start_rules.refuses_manual_start {
        return Some("refuses to be started by anybody".to_owned());
    }
    None
}

fn plan(name: &str, declared: &Failover, primary: &UnitStatus, standby: UnitName) -> Plan {
    let was_up = primary.is_up();
    let (from, runs) = (&primary.name, if was_up { ", which runs" } else { "" });
    let mut takes = Vec::new();
    if declared.standby_is == StandbyIs::Stopped {
        takes.push(format!("start {standby}"));
    }
    if let Some(promote) = &declared.promote {
        takes.push(format!("promote {standby} (check `{promote}`)"));
    }
    let summary = format!(
        "fail `{name}` over: stop {from}{runs}, keep it from being started, {}",
        takes.join(", ")
    );
    let over = FailedOver {
        name: name.to_owned(),
        primary: primary.name.clone(),
        standby,
        standby_is: declared.standby_is,
        was_up,
        able: declared.able.clone(),
        promote: declared.promote.clone(),
        demote: declared.demote.clone(),
        probes: declared.probes.clone(),
    };
    let plan = Plan::to(summary).undone_by(Undo::FailBack(Box::new(over)));
    match declared.fail_back_after {
        None => plan,
        Some(after) => plan.lease(Lease {
            lasts: after,
            ends: LeaseEnds::Undone,
            // Of the service being well it says nothing: that is down.
            calm: Duration::ZERO,
        }),
    }
}
