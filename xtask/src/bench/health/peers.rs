//! Who does the same, and who is asked: from this host where it has them, else unpacked from
//! Debian's packages. One that is not to be had is left out, and that is said.

use anyhow::Result;
use prunella_machine::{Builder, Machine};

use crate::demo::software::{Program, Unpacked};

const MONIT: Program = ("monit", "monit", "usr/bin/monit");
const EXPORTER: Program = (
    "prometheus-node-exporter",
    "prometheus-node-exporter",
    "usr/bin/prometheus-node-exporter",
);
const NGINX: Program = ("nginx", "nginx", "usr/sbin/nginx");

/// Where they are inside a machine.
pub(super) struct Peers {
    got: Vec<Unpacked>,
    pub(super) monit: Option<String>,
    pub(super) exporter: Option<String>,
    pub(super) nginx: Option<String>,
    missing: Vec<String>,
}

impl Peers {
    /// Gets those that measure, and the server that is asked.
    pub(super) fn get(measuring: bool, asked: bool) -> Self {
        let mut peers = Self {
            got: Vec::new(),
            monit: None,
            exporter: None,
            nginx: None,
            missing: Vec::new(),
        };
        if measuring {
            peers.monit = peers.one(MONIT);
            peers.exporter = peers.one(EXPORTER);
        }
        if asked {
            peers.nginx = peers.one(NGINX);
        }
        peers
    }

    fn one(&mut self, program: Program) -> Option<String> {
        let (name, ..) = program;
        match Unpacked::get(
            &[program],
            &format!("bench-{name}"),
            "it is measured beside",
        ) {
            Ok(unpacked) => {
                let place = unpacked.place(program);
                self.got.push(unpacked);
                Some(place)
            }
            Err(error) => {
                let missing = format!("{name} IS NOT IN THIS RUN: {error:#}");
                eprintln!("\n!!! {missing}");
                self.missing.push(missing);
                None
            }
        }
    }

    /// Once more, where nobody overlooks it.
    pub(super) fn say_what_is_missing(&self) {
        for missing in &self.missing {
            eprintln!("\n!!! {missing}");
        }
    }

    pub(super) fn show_in(&self, machine: Builder) -> Builder {
        self.got
            .iter()
            .fold(machine, |machine, one| one.show_in(machine))
    }

    pub(super) fn settle_in(&self, machine: &Machine) -> Result<()> {
        self.got.iter().try_for_each(|one| one.settle_in(machine))
    }
}
