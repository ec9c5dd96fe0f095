//! What else belongs to a file beside its owner and mode: its access list, its SELinux label, and
//! what users have attached to it.

use std::{fs::File, io};

use rustix::{
    buffer::spare_capacity,
    fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr},
    io::Errno,
};

/// The kernel allows no more of a list, or of one attribute (xattr(7)).
const MOST: usize = 64 << 10;

/// The access list, as extra permissions beside the mode.
const ACCESS_LIST: &str = "system.posix_acl_access";
const LABEL: &str = "security.selinux";

/// Gives the new file what the old one has.
///
/// # Errors
/// Something of it cannot be kept.
pub(super) fn keep(old: &File, new: &File) -> io::Result<()> {
    let mut names = Vec::with_capacity(MOST);
    match flistxattr(old, spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    for name in names.split(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(name);
        if ![ACCESS_LIST, LABEL].contains(&&*name) && !name.starts_with("user.") {
            continue;
        }
        let value = get(old, &name)?;
        // It has its label already where it has the folder's.
        if get(new, &name).is_ok_and(|there| there == value) {
            continue;
        }
        fsetxattr(new, &*name, &value, XattrFlags::empty())?;
    }
    Ok(())
}

fn get(file: &File, name: &str) -> io::Result<Vec<u8>> {
    let mut value = Vec::with_capacity(MOST);
    fgetxattr(file, name, spare_capacity(&mut value))?;
    Ok(value)
}
