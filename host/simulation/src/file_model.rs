//! How a declared file stands, in the words of a real host.

use std::time::Duration;

use prunella_core::{
    capability::{FileKind, FileStatus, Repair},
    service::FileRole,
};

use crate::build::File;

/// How a file departs from its declaration.
pub(crate) fn deviations(file: &File) -> Vec<(String, Option<Repair>)> {
    let mut found = Vec::new();
    if !file.exists {
        let repair = file.target.1.is_some().then_some(Repair::Target);
        return if file.optional {
            found
        } else {
            vec![("it does not exist".to_owned(), repair)]
        };
    }
    if let (is, Some(declared)) = file.mode
        && is != declared
    {
        found.push((
            format!("its mode is {is:04o}, declared is {declared:04o}"),
            Some(Repair::Mode),
        ));
    }
    if let (is, Some(declared)) = &file.owner
        && is != declared
    {
        found.push((
            format!("its owner is {is}, declared is {declared}"),
            Some(Repair::Owner),
        ));
    }
    if let (Some(is), Some(declared)) = &file.target
        && is != declared
    {
        found.push((
            "it leads elsewhere than declared".to_owned(),
            Some(Repair::Target),
        ));
    }
    found
}

/// What of a file can be brought back. A link that should be there can be made,
/// whether the service needs it or not.
pub(crate) fn repairs(file: &File) -> Vec<Repair> {
    if !file.exists {
        return file.target.1.iter().map(|_| Repair::Target).collect();
    }
    let deviations = deviations(file);
    deviations
        .into_iter()
        .filter_map(|(_, repair)| repair)
        .collect()
}

/// A file as `stat` gives it.
pub(crate) fn file_status(file: &File) -> FileStatus {
    let deviations = deviations(file);
    FileStatus {
        kind: file
            .exists
            .then(|| file.role.kind().unwrap_or(FileKind::File)),
        // What is not there has none of these.
        mode: match (file.exists, file.role) {
            (false, _) => 0,
            (true, FileRole::Symlink) => 0o777,
            (true, _) => file.mode.0,
        },
        owner: of_what_exists(file, &file.owner.0),
        group: of_what_exists(file, "root"),
        size: (file.exists && !file.secret).then_some(file.content.len() as u64),
        age: if file.exists {
            file.age
        } else {
            Duration::ZERO
        },
        link_target: file.target.0.clone().filter(|_| file.exists),
        repairable: repairs(file),
        deviations: deviations.into_iter().map(|(said, _)| said).collect(),
        readable: file.exists && file.readable,
    }
}

fn of_what_exists(file: &File, text: &str) -> String {
    if file.exists { text } else { "" }.to_owned()
}
