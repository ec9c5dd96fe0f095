//! Debian packages are installed in the versions that they had.
//!
//! apt-get says beforehand what that would come to. It is done only when nothing but the
//! declared packages would change, and when what is installed now could be had again.

use prunella_core::{
    Failure, Timestamp,
    capability::Answer,
    remedy::{PackageChange, PackageVersion, Receipt, ReleaseInForce},
};
use serde::{Deserialize, Serialize};

use super::apt;
use crate::dpkg::{self, Installed};

/// Whether one of these releases can be gone back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::remedies) struct Available {
    /// What is installed.
    now: Vec<PackageVersion>,
    /// The one to go back to first.
    others: Vec<Vec<PackageVersion>>,
}

/// The first that can be; why another cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::remedies) struct Found {
    pub(super) there: Option<String>,
    pub(super) not_there: Option<String>,
}

/// Which versions are installed, and since when.
pub(super) fn in_force(name: &str, packages: &[String]) -> Answer<ReleaseInForce> {
    let installed = dpkg::installed(packages).map_err(|error| unknown(&error))?;
    let mut versions = Vec::new();
    let mut since = Timestamp::from_millis(0);
    for (package, installed) in packages.iter().zip(installed) {
        let Some(installed) = installed else {
            return Err(Failure::not_found(
                "no-release",
                format!("`{name}`: the package {package} is not installed"),
            ));
        };
        if installed.held {
            return Err(Failure::not_found(
                "no-release",
                format!("`{name}`: {package} is held at its version (apt-mark unhold {package})"),
            ));
        }
        let unpacked = dpkg::since(package, &installed).ok_or_else(|| {
            Failure::failed(
                "cannot-look",
                format!("dpkg does not tell when {package} was unpacked"),
            )
        })?;
        since = since.max(unpacked);
        versions.push(PackageVersion {
            name: package.clone(),
            version: installed.version,
        });
    }
    Ok(ReleaseInForce {
        target: PackageVersion::all_as_text(&versions),
        since,
        there: None,
        not_there: None,
    })
}

/// What to ask the helper; nothing when there is no other release of the same packages.
pub(super) fn available(now: &str, others: Vec<String>) -> Option<Available> {
    let now = PackageVersion::parse_all(now)?;
    let is_of_them = |other: &Vec<PackageVersion>| {
        let names = |all: &[PackageVersion]| -> Vec<String> {
            all.iter().map(|package| package.name.clone()).collect()
        };
        names(other) == names(&now) && *other != now
    };
    let others: Vec<Vec<PackageVersion>> = others
        .iter()
        .filter_map(|other| PackageVersion::parse_all(other))
        .filter(is_of_them)
        .collect();
    (!others.is_empty()).then_some(Available { now, others })
}

/// Looks which of the releases apt can bring back.
pub(super) fn find(ask: &Available) -> Answer<Found> {
    let now = installed(&ask.now)?;
    if let Some(why) = cannot_be_had(&ask.now, &now)? {
        return Ok(Found {
            there: None,
            not_there: Some(format!(
                "what is installed could not be brought back: {why}"
            )),
        });
    }
    let mut not_there = None;
    for other in &ask.others {
        match cannot_be_had(other, &now)? {
            None => {
                return Ok(Found {
                    there: Some(PackageVersion::all_as_text(other)),
                    not_there,
                });
            }
            Some(why) => not_there = not_there.or(Some(why)),
        }
    }
    Ok(Found {
        there: None,
        not_there,
    })
}

/// Why these versions cannot be installed, and nothing else with them; none when they can.
fn cannot_be_had(wanted: &[PackageVersion], now: &[Installed]) -> Answer<Option<String>> {
    let would = match apt::would_install(&arguments(wanted, now)) {
        Ok(would) => would,
        Err(failure) if failure.is("no-package-manager") => return Err(failure),
        Err(failure) => return Ok(Some(failure.message)),
    };
    if let Some(other) = would.iter().find(|one| !wanted.contains(one)) {
        return Ok(Some(format!("apt would install {other}, too")));
    }
    Ok(wanted
        .iter()
        .find(|one| !would.contains(one))
        .map(|missing| format!("apt has no {missing}")))
}

pub(super) fn apply(name: &str, change: &PackageChange) -> Answer<Receipt> {
    let now = installed(&change.from)?;
    if versions(&change.from, &now) != change.from {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!("the packages of `{name}` were changed meanwhile"),
        ));
    }
    // What is not to be had any more is noticed before anything is changed, and is there when
    // this is undone.
    apt::fetch(&arguments(&change.from, &now))?;
    let to = arguments(&change.to, &now);
    apt::fetch(&to)?;
    apt::install(&to)?;
    let now = versions(&change.to, &installed(&change.to)?);
    if now != change.to {
        return Err(Failure::failed(
            "not-installed",
            format!(
                "apt-get ended well, and {} is installed",
                PackageVersion::all_as_text(&now)
            ),
        ));
    }
    Ok(Receipt {
        details: Some(PackageVersion::all_as_text(&change.to)),
        ..Receipt::done(format!(
            "took `{name}` back to {}",
            PackageVersion::label(&change.to)
        ))
    })
}

/// Installs what was installed, as long as nobody has installed anything else since.
pub(super) fn undo(change: &PackageChange) -> Answer<String> {
    let installed_now = installed(&change.from)?;
    let now = versions(&change.from, &installed_now);
    let is_ours = |now: &PackageVersion| change.from.contains(now) || change.to.contains(now);
    if !now.iter().all(is_ours) {
        return Err(Failure::failed(
            "changed-meanwhile",
            format!(
                "{} is installed meanwhile: it is left as it is now",
                PackageVersion::all_as_text(&now)
            ),
        ));
    }
    let was_cut_off = !installed_now.iter().all(|one| one.complete);
    if now == change.from && !was_cut_off {
        return Ok(format!(
            "{} had not been changed",
            PackageVersion::all_as_text(&change.from)
        ));
    }
    if was_cut_off {
        // What cannot be set up is replaced right after.
        let _ = apt::configure_pending();
    }
    let ended = apt::install(&arguments(&change.from, &installed_now));
    // The version that is to blame may end its own installation with an error: it is there.
    if versions(&change.from, &installed(&change.from)?) != change.from {
        ended?;
        return Err(Failure::failed(
            "not-installed",
            "apt-get ended well and has not installed it",
        ));
    }
    Ok(format!(
        "installed {} again",
        PackageVersion::all_as_text(&change.from)
    ))
}

/// How these packages are installed now, whatever their versions.
fn installed(packages: &[PackageVersion]) -> Answer<Vec<Installed>> {
    let names: Vec<String> = packages.iter().map(|one| one.name.clone()).collect();
    let installed = dpkg::installed(&names).map_err(|error| unknown(&error))?;
    installed.into_iter().collect::<Option<_>>().ok_or_else(|| {
        Failure::failed(
            "changed-meanwhile",
            "one of the packages is not installed any more",
        )
    })
}

fn versions(packages: &[PackageVersion], now: &[Installed]) -> Vec<PackageVersion> {
    let of_each = packages.iter().zip(now);
    let version = of_each.map(|(package, now)| PackageVersion {
        name: package.name.clone(),
        version: now.version.clone(),
    });
    version.collect()
}

fn arguments(wanted: &[PackageVersion], now: &[Installed]) -> Vec<String> {
    let of_each = wanted.iter().zip(now);
    of_each
        .map(|(one, now)| apt::argument(one, &now.architecture))
        .collect()
}

fn unknown(error: &std::io::Error) -> Failure {
    Failure::failed(
        "cannot-look",
        format!("which packages are installed is not known: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_versions_of_the_same_packages_are_asked_for() {
        let others = ["shop=2 common=2", "shop=1 common=1", "shop=1", "releases/1"];
        let ask = available("shop=2 common=2", others.map(str::to_owned).to_vec()).unwrap();
        assert_eq!(ask.others.len(), 1);
        assert_eq!(
            PackageVersion::all_as_text(&ask.others[0]),
            "shop=1 common=1"
        );
        assert_eq!(available("shop=2", vec!["shop=2".to_owned()]), None);
    }
}
