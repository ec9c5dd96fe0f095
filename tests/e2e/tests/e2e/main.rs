//! Real failures on a real systemd: one program, so that only one is linked.

mod alerts;
mod analysis;
mod budget;
mod compared;
mod config;
mod crash;
mod daemon;
mod dependencies;
mod enable;
mod ends;
mod files;
mod hardening;
mod killed;
mod lifecycle;
mod operator;
mod oversight;
mod plain;
mod plugins;
mod ports;
mod report;
mod state;
mod status;
mod store;
mod storm;
mod systemd;
mod versions;
