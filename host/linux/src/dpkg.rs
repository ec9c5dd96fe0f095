//! Which versions of packages are installed, from the files that dpkg keeps of that.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use prunella_core::Timestamp;

/// Where dpkg keeps what is installed.
const FOLDER: &str = "/var/lib/dpkg";

/// More than the list of all packages of a large host.
const STATUS_MAX: u64 = 64 << 20;

/// A package as dpkg knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub version: String,
    /// Such as `amd64`; `all` of one that runs on each.
    pub architecture: String,
    /// Whether an operator holds it at its version.
    pub held: bool,
    /// Whether it is unpacked and set up.
    pub complete: bool,
}

/// What is known of these packages; none of one that is not installed.
///
/// # Errors
/// When dpkg's list cannot be read, as where there is no dpkg.
pub fn installed(names: &[String]) -> io::Result<Vec<Option<Installed>>> {
    let mut text = String::new();
    File::open(Path::new(FOLDER).join("status"))?
        .take(STATUS_MAX)
        .read_to_string(&mut text)?;
    Ok(names.iter().map(|name| find(&text, name)).collect())
}

fn find(status: &str, name: &str) -> Option<Installed> {
    let of_it = |paragraph: &&str| field(paragraph, "Package") == Some(name);
    status.split("\n\n").filter(of_it).find_map(read)
}

/// A paragraph of a package whose files are there.
fn read(paragraph: &str) -> Option<Installed> {
    let mut words = field(paragraph, "Status")?.split(' ');
    let (want, _error, state) = (words.next()?, words.next()?, words.next()?);
    if matches!(state, "not-installed" | "config-files") {
        return None;
    }
    Some(Installed {
        version: field(paragraph, "Version")?.to_owned(),
        architecture: field(paragraph, "Architecture")?.to_owned(),
        held: want == "hold",
        complete: state == "installed",
    })
}

fn field<'t>(paragraph: &'t str, name: &str) -> Option<&'t str> {
    paragraph
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// When the files of a package were unpacked last: dpkg writes their list anew then.
pub(crate) fn since(name: &str, installed: &Installed) -> Option<Timestamp> {
    let lists = [
        format!("{name}.list"),
        format!("{name}:{}.list", installed.architecture),
    ];
    let list = lists
        .iter()
        .find_map(|list| fs::metadata(Path::new(FOLDER).join("info").join(list)).ok())?;
    let since = list.modified().ok()?.duration_since(std::time::UNIX_EPOCH);
    let millis = u64::try_from(since.ok()?.as_millis()).ok()?;
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: shop
Status: install ok installed
Architecture: all
Version: 1:2.0-1
Description: a shop
 Package: no

Package: shop-common
Status: hold ok half-configured
Architecture: amd64
Version: 2.0-1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
";

    #[test]
    fn what_is_installed_is_read() {
        let of = |name: &str| find(STATUS, name);
        let shop = of("shop").unwrap();
        assert_eq!(shop.version, "1:2.0-1");
        assert!(shop.complete && !shop.held);
        let common = of("shop-common").unwrap();
        assert_eq!(common.architecture, "amd64");
        assert!(!common.complete && common.held);
        for name in ["gone", "no", "shop-com"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
