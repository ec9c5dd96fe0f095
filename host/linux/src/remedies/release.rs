//! `release`: what says which release is in force goes back to what it was: a link, or the
//! versions of Debian packages.
//!
//! Which release it may go back to, and when, is known to whoever has the store.

mod apt;
mod link;
mod packages;

use std::time::{Duration, Instant};

use prunella_core::{
    capability::Answer,
    remedy::{LinkChange, PackageChange, Receipt, Release, ReleaseInForce, ReleaseOf},
};
use serde::{Deserialize, Serialize};

use self::packages::Available;
pub(super) use self::packages::Found;
use super::helper::{Helper, Outcome, Request as HelperRequest};
use crate::{timeout::with_timeout, transient::Sandbox};

/// A link, and a rename.
const LINK: Duration = Duration::from_secs(10);
/// apt reads its lists.
const LOOK: Duration = Duration::from_secs(30);
/// Packages are fetched, unpacked and set up.
const INSTALL: Duration = Duration::from_secs(300);

/// What is asked of the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Request {
    Apply { name: String, change: LinkChange },
    Undo(LinkChange),
    Available(Available),
    Install { name: String, change: PackageChange },
    InstallAgain(PackageChange),
}

impl Request {
    /// What the helper may reach for it, and how long it may take.
    fn takes(&self) -> (Sandbox, Duration) {
        match self {
            Self::Apply { .. } | Self::Undo(_) => (Sandbox::for_declared_files(), LINK),
            Self::Available(_) => (Sandbox::for_package_manager(), LOOK),
            Self::Install { .. } | Self::InstallAgain(_) => {
                (Sandbox::for_package_manager(), INSTALL)
            }
        }
    }
}

pub(super) struct ReleaseHere<'a> {
    helper: &'a Helper,
}

impl<'a> ReleaseHere<'a> {
    pub(super) fn new(helper: &'a Helper) -> Self {
        Self { helper }
    }

    /// Which release is in force, and the first of the others that can be gone back to.
    pub(super) fn in_force(
        &self,
        deadline: Instant,
        name: &str,
        declared: &Release,
        others: Vec<String>,
    ) -> Answer<ReleaseInForce> {
        match &declared.of {
            ReleaseOf::Path(path) => {
                let (name, path) = (name.to_owned(), path.clone());
                with_timeout(deadline, "looking at a release", move || {
                    link::in_force(&name, &path, others)
                })?
            }
            ReleaseOf::Packages(packages) => {
                let (named, packages) = (name.to_owned(), packages.clone());
                let mut now = with_timeout(deadline, "looking at packages", move || {
                    packages::in_force(&named, &packages)
                })??;
                let ask = packages::available(&now.target, others);
                if let Some(ask) = ask {
                    let what = format!("look for other versions of `{name}`");
                    let found = self
                        .run(deadline, &what, Request::Available(ask))?
                        .found()?;
                    now.there = found.there;
                    now.not_there = found.not_there;
                }
                Ok(now)
            }
        }
    }

    pub(super) fn apply(
        &self,
        deadline: Instant,
        name: &str,
        change: &LinkChange,
    ) -> Answer<Receipt> {
        let request = Request::Apply {
            name: name.to_owned(),
            change: change.clone(),
        };
        let what = format!("roll-back of `{name}`");
        self.run(deadline, &what, request)?.applied()
    }

    pub(super) fn undo(&self, deadline: Instant, change: &LinkChange) -> Answer<String> {
        let what = format!("undoing of the roll-back of {}", change.path.display());
        self.run(deadline, &what, Request::Undo(change.clone()))?
            .taken_back()
    }

    pub(super) fn install(
        &self,
        deadline: Instant,
        name: &str,
        change: &PackageChange,
    ) -> Answer<Receipt> {
        let request = Request::Install {
            name: name.to_owned(),
            change: change.clone(),
        };
        let what = format!("roll-back of `{name}`");
        self.run(deadline, &what, request)?.applied()
    }

    pub(super) fn install_again(
        &self,
        deadline: Instant,
        change: &PackageChange,
    ) -> Answer<String> {
        let request = Request::InstallAgain(change.clone());
        self.run(deadline, "undoing of a roll-back", request)?
            .taken_back()
    }

    fn run(&self, deadline: Instant, what: &str, request: Request) -> Answer<Outcome> {
        let (sandbox, limit) = request.takes();
        let request = HelperRequest::Release(request);
        self.helper.run(deadline, what, &request, sandbox, limit)
    }
}

/// What runs in the helper.
pub(super) fn carry_out(request: &Request) -> Answer<Outcome> {
    match request {
        Request::Apply { name, change } => link::apply(name, change).map(Outcome::Applied),
        Request::Undo(change) => link::undo(change).map(Outcome::TakenBack),
        Request::Available(ask) => packages::find(ask).map(Outcome::Found),
        Request::Install { name, change } => packages::apply(name, change).map(Outcome::Applied),
        Request::InstallAgain(change) => packages::undo(change).map(Outcome::TakenBack),
    }
}
