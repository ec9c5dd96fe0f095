//! Looking up a group's number in `/etc/group`.

use std::{fs, path::Path};

/// The number of group `name`, if there is such a local group.
///
/// Only `/etc/group` is read: the groups this is for are made by packages, and
/// asking the name service could hang on a network that is just failing.
pub(crate) fn number(name: &str) -> Option<u32> {
    number_in(Path::new("/etc/group"), name)
}

fn number_in(file: &Path, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("group");
        fs::write(&file, "root:x:0:\njournal-x:x:7:\njournal:x:101:a,b\nbad\n").unwrap();
        assert_eq!(number_in(&file, "journal"), Some(101));
        assert_eq!(number_in(&file, "bad"), None);
        assert_eq!(number_in(&file, "nobody"), None);
    }
}
