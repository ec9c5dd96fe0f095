//! Which interfaces a component gets: those it imports and may have, each
//! whole, and nothing else.

use std::collections::BTreeSet;

use prunella_core::{
    StrategyName,
    policy::{Act, Grants},
};
use wasmtime::component::{
    Component, ComponentNamedList, HasSelf, InstancePre, Lift, Linker, Lower, Resource,
    types::ComponentItem,
};

use crate::{
    Inspection, LoadError,
    bindings::{RecoveryPre, guest},
    host_state::{HostState, Incident},
    inspect::{NEWEST, Package, STRATEGY},
};

/// Compares what a component imports with what it was granted. Gives the acts
/// that it imports and will be denied; or says what is missing, when it
/// imports an act interface of which it was granted nothing at all.
pub(crate) fn compare(
    strategy: &StrategyName,
    inspection: &Inspection,
    grants: &Grants,
) -> Result<Vec<Act>, LoadError> {
    let granted = grants.acts();
    let (partly, not_at_all): (BTreeSet<Act>, BTreeSet<Act>) = inspection
        .acts()
        .into_iter()
        .filter(|act| !granted.contains(act))
        .partition(|act| grants.any_of(act.interface()));
    if !not_at_all.is_empty() {
        return Err(LoadError::NotGranted {
            strategy: strategy.clone(),
            acts: not_at_all.into_iter().collect(),
        });
    }
    Ok(partly.into_iter().collect())
}

/// Links a component to the interfaces it imports, and checks the types of
/// what it imports and exports. Runs nothing of it.
pub(crate) fn link(
    component: &Component,
    inspection: &Inspection,
) -> Result<RecoveryPre<HostState>, LoadError> {
    let mut linker = Linker::new(component.engine());
    for import in &inspection.imports {
        add(&mut linker, import.package, &import.interface)
            .map_err(|error| import_types(inspection, &error))?;
    }
    let pre = linker
        .instantiate_pre(component)
        .map_err(|error| import_types(inspection, &error))?;
    check_exports(component, &pre)?;
    RecoveryPre::new(pre).map_err(|error| LoadError::Exports {
        missing: format!("`{STRATEGY}` as the contract has it ({error:#})"),
        exports: inspection.exports.clone(),
    })
}

/// Makes a function of the contract's table that adds one interface. Those of types
/// alone need nothing.
macro_rules! linking {
    ($($package:ident $module:ident $name:literal $looking:literal $calls:tt)*) => {
        fn add(
            linker: &mut Linker<HostState>,
            package: Package,
            interface: &str,
        ) -> wasmtime::Result<()> {
            #[allow(clippy::wildcard_imports, reason = "one module for each interface")]
            use crate::bindings::prunella::{act::*, base::*, observe::*};
            match (package, interface) {
                $((Package::$package, $name) => {
                    $module::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
                })*
                _ => Ok(()),
            }
        }
    };
}

prunella_core::catalogue!(linking);

fn check_exports(component: &Component, pre: &InstancePre<HostState>) -> Result<(), LoadError> {
    type Said<T> = (Result<T, guest::Failure>,);
    let check = Exports { component, pre };
    check.function::<(), (guest::Description,)>("describe")?;
    check.function::<(Resource<Incident>,), Said<guest::Assessment>>("assess")?;
    check.function::<(Resource<Incident>,), Said<guest::Outcome>>("heal")
}

struct Exports<'a> {
    component: &'a Component,
    pre: &'a InstancePre<HostState>,
}

impl Exports<'_> {
    fn function<Params, Returned>(&self, name: &'static str) -> Result<(), LoadError>
    where
        Params: ComponentNamedList + Lower,
        Returned: ComponentNamedList + Lift,
    {
        let missing = || LoadError::Exports {
            missing: format!("`{STRATEGY}` with a function `{name}`"),
            exports: Vec::new(),
        };
        // wasmtime finds an export of any version of the same compatible line,
        // here and in the bindings.
        let interface = format!("{STRATEGY}@{NEWEST}");
        let interface = self
            .component
            .get_export_index(None, &interface)
            .ok_or_else(missing)?;
        let (item, _) = self
            .component
            .get_export(Some(&interface), name)
            .ok_or_else(missing)?;
        let ComponentItem::ComponentFunc(function) = item else {
            return Err(missing());
        };
        function
            .typecheck::<Params, Returned>(&self.pre.instance_type())
            .map_err(|error| LoadError::ExportTypes {
                function: name,
                reason: prunella_core::text::one_line(&format!("{error:#}"), 300),
            })
    }
}

fn import_types(inspection: &Inspection, error: &wasmtime::Error) -> LoadError {
    // Within a compatible line nothing but growth is possible, so what is not
    // as the contract has it is a function that came later.
    let interfaces = inspection.newer();
    if !interfaces.is_empty() {
        return LoadError::UnknownVersion { interfaces };
    }
    LoadError::ImportTypes {
        reason: prunella_core::text::one_line(&format!("{error:#}"), 300),
    }
}
