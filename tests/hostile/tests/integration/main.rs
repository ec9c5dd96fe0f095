//! Integration tests: one program, so that only one is linked. `memory` is
//! another, because nothing else may allocate in its process.

mod cache;
mod loads;
mod odd;
mod runs;
