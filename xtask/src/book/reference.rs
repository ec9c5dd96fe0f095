//! The reference of the contract, out of the comments in `wit/`.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};
use wit_parser::{
    Docs, Function, Handle, Interface, Resolve, Type, TypeDef, TypeDefKind, TypeId, World,
    WorldItem,
};

const PACKAGES: [&str; 4] = ["base", "observe", "act", "strategy"];

const HEAD: &str = "\
<!-- Written by `cargo xtask book --reference` from the comments in wit/. -->

# The contract

Everything that a strategy can ask of the host, and what it answers itself. The
text is that of the contract, the WIT files in `wit/`. The Rust SDK has a module
of the same name for each interface, `prunella_sdk::unit_control` for
`unit-control`; bindings for other languages follow the names here.

A call that does not do what it was asked answers a `failure`: its `kind` is one
of few, its `code` a stable name for the exact case, its `message` a sentence for
people. What a [grant](configuration.md#strategies-and-grants) has to allow is said at each
interface.
";

/// The page, of the packages below `wit`.
pub(crate) fn write(wit: &Path) -> Result<String> {
    let current = parse(&PACKAGES.map(|name| wit.join(name).join(format!("{name}.wit"))))?;
    let since = Since::of(wit)?;
    let mut page = Page {
        resolve: &current,
        since,
        text: HEAD.to_owned(),
    };
    for name in PACKAGES {
        page.package(name)?;
    }
    Ok(page.text)
}

fn parse(files: &[std::path::PathBuf]) -> Result<Resolve> {
    let mut resolve = Resolve::default();
    for file in files {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        resolve
            .push_str(file, &text)
            .with_context(|| format!("cannot understand {}", file.display()))?;
    }
    Ok(resolve)
}

/// In which version each interface, type and function came.
struct Since(BTreeMap<String, String>);

impl Since {
    fn of(wit: &Path) -> Result<Self> {
        let folder = wit.join("released");
        let mut versions: Vec<String> = fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .filter_map(|entry| {
                let entry = entry.ok().filter(|entry| entry.path().is_dir())?;
                entry.file_name().into_string().ok()
            })
            .collect();
        versions.sort_by_key(|version| {
            version
                .split('.')
                .map(|number| number.parse::<u32>().unwrap_or_default())
                .collect::<Vec<_>>()
        });
        let mut since = BTreeMap::new();
        for version in versions {
            let files = PACKAGES.map(|name| folder.join(&version).join(format!("{name}.wit")));
            let resolve = parse(&files)?;
            for (_, interface) in resolve.interfaces.iter() {
                for path in paths(interface) {
                    since.entry(path).or_insert_with(|| version.clone());
                }
            }
        }
        Ok(Self(since))
    }

    /// A mark for what the first release did not have.
    fn mark(&self, path: &str, current: &str) -> String {
        let first = self.0.values().min();
        match self.0.get(path) {
            Some(version) if Some(version) == first => String::new(),
            Some(version) => format!("*Since {version}.*\n\n"),
            None if first.is_none() => String::new(),
            None => format!("*Since {current}.*\n\n"),
        }
    }
}

/// `clock`, `clock.now`, …
fn paths(interface: &Interface) -> Vec<String> {
    let name = interface.name.clone().unwrap_or_default();
    let inner = interface.types.keys().chain(interface.functions.keys());
    let mut paths: Vec<String> = inner.map(|inner| format!("{name}.{inner}")).collect();
    paths.push(name);
    paths
}

struct Page<'a> {
    resolve: &'a Resolve,
    since: Since,
    text: String,
}

impl Page<'_> {
    fn package(&mut self, name: &str) -> Result<()> {
        let resolve = self.resolve;
        let (_, package) = resolve
            .packages
            .iter()
            .find(|(_, package)| package.name.name == name)
            .with_context(|| format!("there is no package {name}"))?;
        let version = package
            .name
            .version
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        self.line(&format!("\n## prunella:{name}\n"));
        self.line(&format!("Version {version}. {}\n", words(&package.docs)));
        if let Some(says) = grants_of(name) {
            self.line(&format!("{says}\n"));
        }
        for (interface, id) in &package.interfaces {
            if let Some(found) = resolve.interfaces.get(*id) {
                self.interface(name, interface, found, &version);
            }
        }
        for id in package.worlds.values() {
            // One without exports only gathers what others include.
            if let Some(world) = resolve.worlds.get(*id)
                && !world.exports.is_empty()
            {
                self.world(world);
            }
        }
        Ok(())
    }

    fn interface(&mut self, package: &str, name: &str, interface: &Interface, version: &str) {
        self.line(&format!("### {name}\n"));
        let path = format!("`prunella:{package}/{name}`");
        self.line(&format!("{path}\n\n{}\n", words(&interface.docs)));
        let mark = self.since.mark(name, version);
        self.text.push_str(&mark);
        let is_new = !mark.is_empty();
        for (type_name, id) in &interface.types {
            if let Some(found) = self.resolve.types.get(*id) {
                self.type_of(name, type_name, *id, found, interface);
                self.since_of(is_new, &format!("{name}.{type_name}"), version);
            }
        }
        for function in interface.functions.values() {
            if function.kind.resource().is_some() {
                continue;
            }
            let written = self.function(function.item_name(), function);
            self.line(&format!("```wit\n{written}\n```\n"));
            self.paragraph(&function.docs);
            if package == "act" {
                self.line(&format!(
                    "Needs the grant `act = \"{name}.{}\"`.\n",
                    function.name
                ));
            }
            self.since_of(is_new, &format!("{name}.{}", function.name), version);
        }
    }

    fn since_of(&mut self, is_new: bool, path: &str, version: &str) {
        if !is_new {
            let mark = self.since.mark(path, version);
            self.text.push_str(&mark);
        }
    }

    fn type_of(
        &mut self,
        interface_name: &str,
        name: &str,
        id: TypeId,
        found: &TypeDef,
        interface: &Interface,
    ) {
        let rows: Vec<(String, &Docs)> = match &found.kind {
            TypeDefKind::Record(record) => record
                .fields
                .iter()
                .map(|field| {
                    let ty = self.ty(&field.ty);
                    (format!("{}: {ty}", field.name), &field.docs)
                })
                .collect(),
            TypeDefKind::Enum(of) => of
                .cases
                .iter()
                .map(|case| (case.name.clone(), &case.docs))
                .collect(),
            TypeDefKind::Variant(of) => of
                .cases
                .iter()
                .map(|case| {
                    let ty = case.ty.as_ref().map(|ty| format!("({})", self.ty(ty)));
                    (
                        format!("{}{}", case.name, ty.unwrap_or_default()),
                        &case.docs,
                    )
                })
                .collect(),
            TypeDefKind::Resource => interface
                .functions
                .values()
                .filter(|function| function.kind.resource() == Some(id))
                .map(|function| {
                    (
                        self.function(function.item_name(), function),
                        &function.docs,
                    )
                })
                .collect(),
            // Names for types of other interfaces: they are told of there.
            _ => return,
        };
        self.line(&format!(
            "#### {} {name} in {interface_name}\n",
            found.kind.as_str()
        ));
        self.paragraph(&found.docs);
        for (what, docs) in rows {
            let docs = words(docs).replace('\n', "\n  ");
            let dash = if docs.is_empty() { "" } else { ": " };
            self.line(&format!("- `{what}`{dash}{docs}"));
        }
        self.line("");
    }

    fn world(&mut self, world: &World) {
        self.line(&format!("### world {}\n", world.name));
        self.paragraph(&world.docs);
        let list = |items: Vec<&WorldItem>| -> String {
            let mut names: Vec<String> = items
                .into_iter()
                .filter_map(|item| match item {
                    WorldItem::Interface { id, .. } => self.resolve.id_of(*id),
                    _ => None,
                })
                .map(|name| format!("`{name}`"))
                .collect();
            names.dedup();
            names.join(", ")
        };
        let imports = list(world.imports.values().collect());
        let exports = list(world.exports.values().collect());
        self.line(&format!("Imports {imports}.\n\nExports {exports}.\n"));
    }

    fn function(&self, name: &str, function: &Function) -> String {
        let parameters: Vec<String> = function
            .params
            .iter()
            .filter(|parameter| parameter.name != "self")
            .map(|parameter| format!("{}: {}", parameter.name, self.ty(&parameter.ty)))
            .collect();
        let gives = function
            .result
            .as_ref()
            .map(|ty| format!(" -> {}", self.ty(ty)))
            .unwrap_or_default();
        format!("{name}: func({}){gives}", parameters.join(", "))
    }

    fn ty(&self, ty: &Type) -> String {
        let or_nothing = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), |ty| self.ty(ty));
        let id = match ty {
            Type::Bool => return "bool".to_owned(),
            Type::U8 => return "u8".to_owned(),
            Type::U16 => return "u16".to_owned(),
            Type::U32 => return "u32".to_owned(),
            Type::U64 => return "u64".to_owned(),
            Type::S8 => return "s8".to_owned(),
            Type::S16 => return "s16".to_owned(),
            Type::S32 => return "s32".to_owned(),
            Type::S64 => return "s64".to_owned(),
            Type::F32 => return "f32".to_owned(),
            Type::F64 => return "f64".to_owned(),
            Type::Char => return "char".to_owned(),
            Type::String => return "string".to_owned(),
            Type::ErrorContext => return "error-context".to_owned(),
            Type::Id(id) => *id,
        };
        let Some(found) = self.resolve.types.get(id) else {
            return "_".to_owned();
        };
        if let Some(name) = &found.name {
            return name.clone();
        }
        match &found.kind {
            TypeDefKind::Option(of) => format!("option<{}>", self.ty(of)),
            TypeDefKind::List(of) => format!("list<{}>", self.ty(of)),
            TypeDefKind::Result(of) if of.ok.is_none() && of.err.is_none() => "result".to_owned(),
            TypeDefKind::Result(of) => {
                format!("result<{}, {}>", or_nothing(&of.ok), or_nothing(&of.err))
            }
            TypeDefKind::Tuple(of) => {
                let types: Vec<String> = of.types.iter().map(|ty| self.ty(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            TypeDefKind::Handle(Handle::Borrow(id)) => {
                format!("borrow<{}>", self.ty(&Type::Id(*id)))
            }
            TypeDefKind::Handle(Handle::Own(id)) => self.ty(&Type::Id(*id)),
            TypeDefKind::Type(of) => self.ty(of),
            other => other.as_str().to_owned(),
        }
    }

    fn paragraph(&mut self, docs: &Docs) {
        if docs.contents.is_some() {
            self.line(&format!("{}\n", words(docs)));
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// What the grants have to do with a package as a whole.
fn grants_of(package: &str) -> Option<&'static str> {
    Some(match package {
        "base" => "Needs no grant.",
        "observe" => {
            "The incident's own service and what it needs may be looked at without a grant. For \
             other units `observe = \"units\"`, `\"logs\"` or `\"processes\"` is needed; files, \
             checks and probes are those that were declared for the service."
        }
        "act" => {
            "Each function needs its grant. A component that imports an interface of which it was \
             granted nothing does not load; what is not granted of the others answers `denied`, \
             and so does everything in `describe` and `assess`, but for checks that change nothing."
        }
        _ => return None,
    })
}

fn words(docs: &Docs) -> &str {
    docs.contents.as_deref().unwrap_or_default().trim()
}
