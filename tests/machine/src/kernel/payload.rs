//! What a test brings into its machine: a disk of its own.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::command;

/// Of every payload: a snapshot cannot be resumed with another size.
pub(super) const SIZE: u64 = 512 << 20;

/// What is shown inside: a file of the host, and where.
pub(crate) type Bind = (PathBuf, PathBuf);

/// Where the disk is inside.
const MOUNTED: &str = "/mnt";

/// Makes the disk of a tree of files, which are put into place, and of binds. Answers with
/// the disk and the shell script that does it inside.
pub(crate) fn pack(dir: &Path, files: &Path, binds: &[Bind]) -> Result<(PathBuf, String)> {
    let tree = dir.join("payload");
    let shown = tree.join("shown");
    fs::create_dir_all(&shown)?;
    fs::rename(files, tree.join("files"))?;
    // What an earlier reader has cached of the disk is not what is on it now.
    let mut script = format!(
        "set -e\nblockdev --flushbufs /dev/vdb\nmount -o ro /dev/vdb {MOUNTED}\n\
         cp --archive --no-target-directory {MOUNTED}/files /\n"
    );
    for (number, (host, guest)) in binds.iter().enumerate() {
        let name = number.to_string();
        place(host, &shown.join(&name))?;
        let (from, to) = (format!("{MOUNTED}/shown/{name}"), guest.display());
        script.push_str(&format!(
            "mkdir -p $(dirname {to})\n[ -d {from} ] && mkdir -p {to} || touch {to}\n\
             mount --bind {from} {to}\n"
        ));
    }
    script.push_str("systemctl daemon-reload\n");
    let disk = dir.join("payload.ext4");
    fs::File::create(&disk)?.set_len(SIZE)?;
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d"])
        .arg(&tree)
        .arg(&disk);
    command::run(&mut make)?.into_stdout("mke2fs")?;
    fs::remove_dir_all(&tree)?;
    Ok((disk, script))
}

/// Without a copy, where that can be: on the same file system.
fn place(host: &Path, at: &Path) -> Result<()> {
    let host = host.canonicalize()?;
    let is_file = fs::metadata(&host)?.is_file();
    let same = fs::metadata(&host)?.dev() == fs::metadata(at.parent().unwrap_or(at))?.dev();
    if is_file && same {
        return fs::hard_link(&host, at).with_context(|| format!("cannot link {}", host.display()));
    }
    let mut copy = Command::new("cp");
    command::run(copy.arg("--archive").args([&host, at]))?
        .into_stdout("cp --archive")
        .map(drop)
}
