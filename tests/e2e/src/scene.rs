//! A machine with Prunella and services in its care.

use std::{collections::BTreeSet, fs, ops::Deref, path::PathBuf, sync::LazyLock, time::Duration};

use prunella_bundle::builtins;
use prunella_core::{
    hash::sha256,
    policy::{Act, Grants},
};
use prunella_engine::{Engine, EngineSettings};
use prunella_machine::{
    Linking, Machine, Output, Profile, Software, Systemd, TIMEOUT, machines_dir, program,
};
use serde_json::Value;

use crate::{
    VICTIM,
    incident::{Incident, Record},
    place::Place,
};

/// Where Prunella is inside a machine.
const PRUNELLA: &str = "/opt/prunella/prunella";

/// Proof that does not take long: what a file says nothing about.
const PROOF: &str = "\n[proof]\nstable-for = \"500ms\"\ntimeout = \"20s\"\n";

/// A machine to be, and what is to go wrong in it.
#[derive(Debug, Default)]
pub struct Builder {
    machine: prunella_machine::Builder,
    services: Vec<(String, String)>,
    systemd: Systemd,
    nothing_compiled: bool,
    own_kernel: bool,
}

impl Builder {
    /// Which systemd it has.
    pub fn version(mut self, systemd: Systemd) -> Self {
        self.machine = self.machine.version(systemd);
        self.systemd = systemd;
        self
    }

    /// With Debian's packages, in an image of Debian 12 that is made at its first use.
    pub fn software(self, software: Software) -> Self {
        let mut builder = self.version(Systemd::V252);
        builder.machine = builder.machine.software(software);
        builder
    }

    /// With a kernel of its own, whose control groups have all controllers.
    pub fn own_kernel(mut self) -> Self {
        self.machine = self.machine.own_kernel();
        self.own_kernel = true;
        self
    }

    /// A unit that Prunella knows nothing of.
    pub fn unit(mut self, name: &str, content: &str) -> Self {
        self.machine = self.machine.unit(name, content);
        self
    }

    /// Has a unit started at every boot.
    pub fn enabled(mut self, name: &str) -> Self {
        self.machine = self.machine.enabled(name);
        self
    }

    /// A unit in Prunella's care. `declared` is the rest of its file in
    /// `services.d`; a short proof is added where it has none.
    pub fn service(self, name: &str, content: &str, declared: &str) -> Self {
        self.unit(name, content).care(name, declared)
    }

    /// A services file alone, for a unit that comes from elsewhere.
    pub fn care(mut self, name: &str, declared: &str) -> Self {
        self.services.push((name.to_owned(), declared.to_owned()));
        self
    }

    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.machine = self.machine.file(path, content, mode);
        self
    }

    /// Shows a file or folder of the host inside, read-only.
    pub fn bind_ro(mut self, host: impl Into<PathBuf>, guest: impl Into<PathBuf>) -> Self {
        self.machine = self.machine.bind_ro(host, guest);
        self
    }

    /// A file that is not text.
    pub fn bytes(mut self, path: &str, content: &[u8], mode: u32) -> Self {
        self.machine = self.machine.file(path, content, mode);
        self
    }

    /// Without the compiled strategies that every other machine has, so that `prunella
    /// setup` need not compile them in each.
    pub fn nothing_compiled(mut self) -> Self {
        self.nothing_compiled = true;
        self
    }

    /// Boots it, without a Prunella that runs.
    pub fn without_daemon(self) -> Scene {
        static DYNAMIC: LazyLock<[PathBuf; 2]> = LazyLock::new(|| programs(Linking::Dynamic));
        static STATIC: LazyLock<[PathBuf; 2]> = LazyLock::new(|| programs(Linking::Static));
        let shares_usr = self.systemd == Systemd::Host && !self.own_kernel;
        // The C library of others may be older than the host's.
        let [prunella, victim] = if shares_usr { &*DYNAMIC } else { &*STATIC };
        let mut machine = self
            .machine
            .bind_ro(prunella, PRUNELLA)
            .bind_ro(victim, VICTIM);
        if !self.nothing_compiled {
            for (name, code) in &*COMPILED {
                machine = machine.file(format!("/var/cache/prunella/{name}"), code, 0o600);
            }
        }
        for (unit, declared) in &self.services {
            let proof = if declared.contains("[proof]") {
                ""
            } else {
                PROOF
            };
            machine = machine.file(
                format!("/etc/prunella/services.d/{unit}.toml"),
                format!("unit = \"{unit}\"\n{declared}\n{proof}"),
                0o644,
            );
        }
        let place = self.own_kernel.then(Place::take);
        Scene {
            machine: machine.boot().unwrap(),
            _place: place,
        }
    }

    /// Boots it, and has `prunella setup` install and start the daemon. Without hooks: what
    /// the daemon does not notice, nothing else does.
    pub fn with_daemon(self) -> Scene {
        let scene = self.without_daemon();
        scene.prunella_ok(&["config", "check"]);
        scene.prunella_ok(&["setup", "--without-hooks"]);
        scene.wait_active("prunella.service", TIMEOUT).unwrap();
        scene
    }

    /// Boots it, and has `prunella setup --hook-only` and `prunella enable`
    /// install hooks for all its services.
    pub fn with_hooks(self) -> Scene {
        let units: Vec<String> = self.services.iter().map(|(unit, _)| unit.clone()).collect();
        let scene = self.without_daemon();
        scene.prunella_ok(&["setup", "--hook-only"]);
        let mut enable = vec!["enable"];
        enable.extend(units.iter().map(String::as_str));
        scene.prunella_ok(&enable);
        scene
    }
}

/// The built-in strategies as `prunella setup` compiles them: files of its cache.
static COMPILED: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let folder = machines_dir().unwrap().join("compiled");
    let engine = Engine::new(EngineSettings {
        cache_dir: Some(folder.clone()),
    })
    .unwrap();
    let hashes: Vec<String> = builtins()
        .iter()
        .map(|builtin| {
            let grants = Grants::on_self(Act::ALL);
            let name = builtin.name.parse().unwrap();
            engine.load(&name, builtin.wasm, &grants).unwrap();
            sha256(builtin.wasm)
        })
        .collect();
    // Other versions of the strategies may be there too.
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| hashes.iter().any(|hash| name.starts_with(hash)))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect()
});

/// Prunella, and the service that misbehaves.
fn programs(linking: Linking) -> [PathBuf; 2] {
    [("prunella", "prunella"), ("prunella-machine", "victim")]
        .map(|(package, name)| program(package, name, Profile::Dev, linking).unwrap())
}

/// A machine with Prunella and services in its care.
#[derive(Debug)]
pub struct Scene {
    /// The machine itself; everything it can do, the scene can do.
    pub machine: Machine,
    /// Until the machine is gone.
    _place: Option<Place>,
}

impl Deref for Scene {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Scene {
    /// Describes a scene.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Runs `prunella` to its end.
    #[track_caller]
    pub fn prunella(&self, arguments: &[&str]) -> Output {
        let mut command = vec![PRUNELLA];
        command.extend(arguments);
        self.run(&command).unwrap()
    }

    /// Runs `prunella`, which has to succeed, and returns what it said.
    #[track_caller]
    pub fn prunella_ok(&self, arguments: &[&str]) -> String {
        self.prunella(arguments)
            .into_stdout(&format!("prunella {}", arguments.join(" ")))
            .unwrap()
    }

    /// Starts units and waits until they are up.
    #[track_caller]
    pub fn start(&self, units: &[&str]) {
        let mut command = vec!["start"];
        command.extend(units);
        self.systemctl(&command).unwrap();
        for unit in units {
            self.wait_active(unit, TIMEOUT).unwrap();
        }
    }

    /// Kills every process of a unit, as a crash of all of them would.
    #[track_caller]
    pub fn kill(&self, unit: &str) {
        self.systemctl(&["kill", "--signal=KILL", unit]).unwrap();
    }

    /// The main process of a unit; 0 when it has none.
    #[track_caller]
    pub fn main_pid(&self, unit: &str) -> u32 {
        self.property(unit, "MainPID").unwrap().parse().unwrap()
    }

    /// Every incident, as `prunella incidents --json` tells.
    #[track_caller]
    pub fn incidents(&self) -> Vec<Incident> {
        self.prunella_ok(&["incidents", "--json", "--limit", "1000"])
            .lines()
            .map(Incident::from_line)
            .collect()
    }

    /// The incidents of one unit.
    #[track_caller]
    pub fn incidents_of(&self, unit: &str) -> Vec<Incident> {
        let mut incidents = self.incidents();
        incidents.retain(|incident| incident.unit == unit);
        incidents
    }

    /// The one incident that a unit has had.
    #[track_caller]
    pub fn only_incident_of(&self, unit: &str) -> Incident {
        let mut incidents = self.incidents_of(unit);
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        incidents.remove(0)
    }

    /// Waits for an incident of `unit` whose record has such a step, such as `waits`.
    #[track_caller]
    pub fn wait_step(&self, unit: &str, step: &str, patience: Duration) -> Incident {
        let what = format!("an incident of {unit} with a step `{step}`");
        self.wait_for(&what, patience, || {
            let has_it = |one: &Incident| self.record(one).steps(step).next().is_some();
            Ok(self.incidents_of(unit).into_iter().find(has_it))
        })
        .unwrap()
    }

    /// Waits for an incident of `unit` that ended so, and returns it. Prunella watches what
    /// systemd restarts for more than a minute before it asks people.
    #[track_caller]
    pub fn wait_ended(&self, unit: &str, ended: &str) -> Incident {
        let what = format!("an incident of {unit} that ended as {ended}");
        let mut last = Vec::new();
        self.wait_for(&what, 2 * TIMEOUT, || {
            last = self.incidents_of(unit);
            Ok(last.iter().find(|incident| incident.is(ended)).cloned())
        })
        .unwrap_or_else(|error| panic!("{error}; there are {last:#?}"))
    }

    /// Waits until `unit` was healed, and makes sure that it is up.
    #[track_caller]
    pub fn wait_healed(&self, unit: &str) -> Incident {
        let incident = self.wait_ended(unit, "healed");
        assert_eq!(self.property(unit, "ActiveState").unwrap(), "active");
        assert!(incident.recovered_after.is_some(), "{incident:?}");
        incident
    }

    /// Waits until an incident of `unit` was left alone for this reason.
    #[track_caller]
    pub fn wait_left_alone(&self, unit: &str, why: &str) -> Incident {
        let incident = self.wait_ended(unit, "left-alone");
        assert_eq!(incident.left_alone.as_deref(), Some(why), "{incident:?}");
        assert_eq!(self.record(&incident).acts(), Vec::<String>::new());
        incident
    }

    /// Waits until systemd is about to restart a unit.
    #[track_caller]
    pub fn wait_about_to_restart(&self, unit: &str) {
        self.wait_for("systemd's next restart", TIMEOUT, || {
            let is_due = self.property(unit, "SubState")? == "auto-restart";
            Ok(is_due.then_some(()))
        })
        .unwrap();
    }

    /// Waits until the hook that a unit's failure has started is through with it.
    #[track_caller]
    pub fn wait_hook(&self, unit: &str) {
        let hook = format!("prunella-hook@{unit}.service");
        self.wait_until(&hook, "inactive", TIMEOUT).unwrap();
    }

    /// The whole record of an incident.
    #[track_caller]
    pub fn record(&self, incident: &Incident) -> Record {
        let text = self.prunella_ok(&["incidents", &incident.id, "--json"]);
        Record(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The report for people.
    #[track_caller]
    pub fn report(&self, incident: &Incident) -> String {
        self.prunella_ok(&["incidents", &incident.id])
    }

    /// How often a unit was started since the machine was made: its different
    /// invocations, as init's own journal entries name them.
    #[track_caller]
    pub fn runs(&self, unit: &str) -> usize {
        let entries = self.journal(&["_PID=1", &format!("UNIT={unit}")]).unwrap();
        entries
            .iter()
            .filter_map(|entry| entry.get("INVOCATION_ID").and_then(Value::as_str))
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// Puts an unknown key into the first line of a file. Answers with what it was.
    #[track_caller]
    pub fn misspell(&self, path: &str) -> String {
        let whole = self.read_file(path).unwrap();
        self.write_file(path, format!("domian = \"x\"\n{whole}"), 0o644)
            .unwrap();
        whole
    }

    /// Waits until the probes of a service were answered once: before that they are no
    /// evidence.
    #[track_caller]
    pub fn wait_probed(&self, unit: &str) {
        self.wait_for("the probes to be answered", TIMEOUT, || {
            let status = self.prunella_ok(&["status", unit, "--json"]);
            let status: Value = serde_json::from_str(&status).unwrap();
            let probes = status.get("probes").and_then(Value::as_array).unwrap();
            let is_answered = |probe: &Value| probe.get("never_answered") == Some(&false.into());
            Ok(probes.iter().all(is_answered).then_some(()))
        })
        .unwrap();
    }

    /// Whether the machine's port answers HTTP with 200.
    #[track_caller]
    pub fn answers(&self, port: u16) -> bool {
        // bash can open a connection by itself; nothing else has to be there.
        let get = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && echo GET / >&3 && read -t 5 -r line <&3 && echo \"$line\""
        );
        self.run(&["bash", "-c", &get])
            .unwrap()
            .stdout
            .starts_with("HTTP/1.1 200")
    }

    /// Has something harmless fail and be healed: what was to be noticed
    /// before it has been noticed by then. `bystander.service` has to be in
    /// the scene, in care.
    #[track_caller]
    pub fn after_all_before(&self, bystander: &str) {
        if self.property(bystander, "ActiveState").unwrap() != "active" {
            self.start(&[bystander]);
        }
        let before = self.incidents_of(bystander).len();
        self.kill(bystander);
        self.wait_for("the bystander to be healed", TIMEOUT, || {
            let now = self.incidents_of(bystander);
            Ok((now.len() > before && now.iter().all(|i| i.is("healed"))).then_some(()))
        })
        .unwrap();
    }
}
