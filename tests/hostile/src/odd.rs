//! Components that no honest compiler makes: put together from WIT and WAT.

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

/// The contract's packages, as they are in `wit/`.
const CONTRACT: [(&str, &str); 4] = [
    ("base.wit", include_str!("../../../wit/base/base.wit")),
    (
        "observe.wit",
        include_str!("../../../wit/observe/observe.wit"),
    ),
    ("act.wit", include_str!("../../../wit/act/act.wit")),
    (
        "strategy.wit",
        include_str!("../../../wit/strategy/strategy.wit"),
    ),
];

/// A component of the world `odd:test/odd`, as this WIT has it, which may use
/// the contract's packages and others. Whatever it does, it traps.
pub fn of_world(others: &[&str], world: &str) -> Vec<u8> {
    with_contract(&CONTRACT.map(|(_, text)| text), others, world)
}

/// The same against a changed contract: `change` gets each package's text.
pub fn of_changed_contract(change: impl Fn(&str) -> String, world: &str) -> Vec<u8> {
    let changed: Vec<String> = CONTRACT.iter().map(|(_, text)| change(text)).collect();
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    with_contract(&changed, &[], world)
}

fn with_contract(contract: &[&str], others: &[&str], world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for text in contract.iter().chain(others) {
        resolve.push_str("odd.wit", text).expect("the WIT parses");
    }
    let package = resolve
        .push_str(
            "world.wit",
            &format!("package odd:test;\nworld odd {{ {world} }}"),
        )
        .expect("the world parses");
    let world = resolve
        .select_world(&[package], Some("odd"))
        .expect("there is one world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed(&mut module, &resolve, world);
    encode(&module)
}

/// A strategy whose core module is this WAT. It has to export the strategy's
/// three functions; [`EXPORTS`] does.
pub fn of_wat(wat: &str) -> Vec<u8> {
    of_wat_in("export prunella:strategy/strategy@0.2.0;", wat)
}

/// The same in a world that has more in it.
pub fn of_wat_in(world: &str, wat: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for (name, text) in CONTRACT {
        resolve.push_str(name, text).expect("the contract parses");
    }
    let package = resolve
        .push_str(
            "world.wit",
            &format!("package odd:test;\nworld odd {{ {world} }}"),
        )
        .expect("the world parses");
    let world = resolve
        .select_world(&[package], Some("odd"))
        .expect("there is one world");
    let mut module = wat::parse_str(wat).expect("the WAT parses");
    embed(&mut module, &resolve, world);
    encode(&module)
}

/// A strategy's functions, all of which run `$f`.
pub const EXPORTS: &str = r#"
    (func (export "prunella:strategy/strategy@0.2.0#describe") (result i32) call $f unreachable)
    (func (export "prunella:strategy/strategy@0.2.0#assess") (param i32) (result i32) call $f unreachable)
    (func (export "prunella:strategy/strategy@0.2.0#heal") (param i32) (result i32) call $f unreachable)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
"#;

fn embed(module: &mut Vec<u8>, resolve: &Resolve, world: wit_parser::WorldId) {
    embed_component_metadata(module, resolve, world, StringEncoding::UTF8, false)
        .expect("the types are embedded");
}

fn encode(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .expect("a component is made of it")
}

/// A strategy that goes well, with another component inside it, which makes
/// handles of its own resource without end when the strategy is instantiated.
pub fn hoarder() -> Vec<u8> {
    const COMPONENT_SECTION: u8 = 4;
    const INSTANCE_SECTION: u8 = 5;
    let hoarder = wat::parse_str(
        r#"(component
            (type $r (resource (rep i32)))
            (core func $new (canon resource.new $r))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func $start (loop (drop (call $new (i32.const 1))) (br 0)))
                (start $start))
            (core instance (instantiate $m (with "" (instance (export "new" (func $new)))))))"#,
    )
    .expect("the WAT parses");
    let mut component = of_wat(&format!(
        r#"(module (memory (export "memory") 1) (func $f) {EXPORTS})"#
    ));
    // The encoder has put one component inside already: number 0, which gives
    // the exports their names. This one is number 1, instantiated with nothing.
    section(&mut component, COMPONENT_SECTION, &hoarder);
    section(&mut component, INSTANCE_SECTION, &[1, 0, 1, 0]);
    component
}

/// Appends a section: its kind, its length as LEB128, its bytes.
fn section(component: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    component.push(kind);
    let mut length = bytes.len();
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits");
        length >>= 7;
        if length == 0 {
            component.push(low);
            break;
        }
        component.push(low | 0x80);
    }
    component.extend(bytes);
}
