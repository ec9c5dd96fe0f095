//! What an engine has in common with the strategies that it made.

use crate::{cache::Cache, ticker::Ticker};

pub(crate) struct Inner {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) cache: Option<Cache>,
    pub(crate) ticker: Ticker,
}
