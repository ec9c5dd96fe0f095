//! What a new project is made of, as `build.rs` has collected it.

/// A file that is part of this program.
pub(crate) struct File {
    /// Where it belongs, with `/` between folders.
    pub(crate) path: &'static str,
    pub(crate) content: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
