//! Root-cause analysis: by rules always, and by a language model where the
//! operator wants one.
