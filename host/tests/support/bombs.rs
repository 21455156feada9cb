//! Components that are small, valid, and expensive to compile. Each carries a core module beside those of the default plugin.

use portcullis_plugin_bundle::EXACT;
use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, InstructionSink, MemArg, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};
use wasmparser::{Parser, Payload};

/// A component, and what it is.
pub struct Bomb {
    pub name: String,
    pub component: Vec<u8>,
}

fn bomb(name: String, module: &[u8]) -> Bomb {
    Bomb { name, component: with_module(module) }
}

/// All kinds, in the sizes in which they took the process down.
pub fn all() -> Vec<Bomb> {
    vec![
        chained_loops(9900, 32),
        chained_loops(2000, 32),
        live_values(1, 8000, 9000),
        live_values(32, 6000, 9000),
        wide_calls(60_000, 32),
        wide_calls(15_000, 32),
        many_types(80_000),
        wide_tables(1, 19_990, 63),
        wide_tables(30, 19_990, 63),
        live_variables(1, 1900, 500),
        live_variables(1, 98, 10_000),
        live_variables(6, 990, 1000),
        live_variables(80, 48, 19_000),
        live_values(60, 900, 1000),
        live_values(30, 100, 8000),
        long_chains(1, 43_000),
        long_chains(31, 42_000),
        nested_types(1_000_000),
        deep_components(1_000_000),
        costly(),
    ]
}

/// One that passes every static bound, and takes more memory to compile than it may have, after some seconds.
pub fn costly() -> Bomb {
    let body = function([], |code| {
        let place = MemArg { align: 4, ..at(0) };
        code.local_get(0).local_get(0).v128_load(place);
        for _ in 0..40_000 {
            // Three bytes, and a dozen instructions, which depend on those before.
            code.i32x4_trunc_sat_f32x4_u();
        }
        code.v128_store(place);
    });
    bomb("30 × 40000 conversions".to_owned(), &module(entry_type(), &[0; 30], &vec![body; 30]))
}

/// Loops in sequence that each take and return as many values: the compiler's memory grows with the square of their number.
pub fn chained_loops(loops: usize, width: usize) -> Bomb {
    let mut types = entry_type();
    types.ty().function(vec![ValType::I32; width], vec![ValType::I32; width]);
    let body = function([], |code| {
        push(code, width);
        for _ in 0..loops {
            code.loop_(BlockType::FunctionType(1)).local_get(0).br_if(0).end();
        }
        drop_all(code, width);
    });
    bomb(format!("{loops} chained loops of {width} values"), &module(types, &[0], &[body]))
}

/// Values on the stack that are live across many loops.
pub fn live_values(functions: usize, values: usize, loops: usize) -> Bomb {
    let body = function([], |code| {
        push(code, values);
        for _ in 0..loops {
            code.loop_(BlockType::Empty).local_get(0).br_if(0).end();
        }
        for _ in 1..values {
            code.i32_xor();
        }
        code.drop();
    });
    let name = format!("{functions} × {values} values across {loops} loops");
    bomb(name, &module(entry_type(), &vec![0; functions], &vec![body; functions]))
}

/// Calls in sequence that pass and return as many values.
pub fn wide_calls(calls: usize, width: usize) -> Bomb {
    let mut types = entry_type();
    types.ty().function(vec![ValType::I32; width], vec![ValType::I32; width]);
    let passes = function([], |code| {
        for n in 0..width {
            code.local_get(u32::try_from(n).expect("few"));
        }
    });
    let calling = function([], |code| {
        push(code, width);
        for _ in 0..calls {
            code.call(0);
        }
        drop_all(code, width);
    });
    bomb(format!("{calls} calls of {width} values"), &module(types, &[1, 0], &[passes, calling]))
}

/// Types of functions that differ from each other, and no function.
pub fn many_types(count: usize) -> Bomb {
    let mut types = TypeSection::new();
    let kinds = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    for n in 0..count {
        let params = (0..9).map(|digit| kinds[n >> (2 * digit) & 3]);
        types.ty().function(params, []);
    }
    bomb(format!("{count} types"), &module(types, &[], &[]))
}

/// Tables of branches that each carry many values.
pub fn wide_tables(functions: usize, targets: usize, width: usize) -> Bomb {
    let mut types = entry_type();
    types.ty().function([], vec![ValType::I32; width]);
    let body = function([], |code| {
        code.block(BlockType::FunctionType(1));
        push(code, width);
        code.local_get(0).br_table(vec![0; targets], 0).end();
        drop_all(code, width);
    });
    let name = format!("{functions} × {targets} branches with {width} values");
    bomb(name, &module(types, &vec![0; functions], &vec![body; functions]))
}

/// Local variables that are live across many loops, as many as the static bounds allow.
pub fn live_variables(functions: usize, variables: u32, branches: u32) -> Bomb {
    let body = function([(variables, ValType::I32)], |code| {
        for n in 0..variables {
            load(code, n);
            code.local_set(1 + n);
        }
        for n in 0..branches / 2 {
            let variable = 1 + n % variables;
            code.loop_(BlockType::Empty);
            code.local_get(variable).i32_const(1).i32_add().local_tee(variable).br_if(0).end();
        }
        for n in 0..variables {
            code.local_get(0).local_get(1 + n).i32_store(at(n));
        }
    });
    let name = format!("{functions} × {variables} variables across {branches} branches");
    bomb(name, &module(entry_type(), &vec![0; functions], &vec![body; functions]))
}

/// Additions that each need the one before.
pub fn long_chains(functions: usize, length: usize) -> Bomb {
    let body = function([], |code| {
        code.local_get(0);
        for _ in 0..length {
            code.local_get(0).i32_add();
        }
        code.drop();
    });
    let name = format!("{functions} × {length} additions in a chain");
    bomb(name, &module(entry_type(), &vec![0; functions], &vec![body; functions]))
}

/// Pairs of components that pass large tuples to each other: each pair needs an adapter of its own.
pub fn nested_components(types: usize, pairs: usize) -> Bomb {
    const KINDS: [&str; 4] = ["u8", "s32", "f64", "bool"];
    let mut tuples = String::new();
    let mut names = Vec::new();
    for n in 0..types {
        let fields: Vec<&str> = (0..8).map(|digit| KINDS[n >> (2 * digit) & 3]).collect();
        tuples.push_str(&format!("(type $a{n} (tuple {}))\n", fields.join(" ")));
        names.push(format!("$a{n}"));
    }
    tuples.push_str(&format!("(type $top (list (tuple {})))\n", names.join(" ")));
    let memory = r#"(memory (export "m") 1)
        (func (export "r") (param i32 i32 i32 i32) (result i32) i32.const 0)"#;
    let lifts = format!(
        r#"(component $A
            (core module $m {memory} (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m))
            {tuples}
            (func (export "f") (param "x" $top)
                (canon lift (core func $i "f") (memory $i "m") (realloc (func $i "r")))))"#
    );
    let lowers = format!(
        r#"(component $B
            {tuples}
            (import "f" (func $f (param "x" $top)))
            (core module $mm {memory})
            (core instance $mi (instantiate $mm))
            (core func $l (canon lower (func $f) (memory $mi "m") (realloc (func $mi "r")))))"#
    );
    let instances: String = (0..pairs)
        .map(|n| {
            format!(
                r#"(instance $a{n} (instantiate $A))
                (instance (instantiate $B (with "f" (func $a{n} "f"))))"#
            )
        })
        .collect();
    let text = format!("(component {lifts} {lowers} {instances})");
    let component = wat::parse_str(text).expect("valid WebAssembly text");
    Bomb { name: format!("{pairs} pairs of components with {types} types"), component }
}

/// Types of instances that each declare the next one: a parser that recurses into them needs a stack of gigabytes.
pub fn nested_types(levels: usize) -> Bomb {
    // A type of an instance (0x42) with one declaration, of a type (1), and so on. The innermost is empty.
    let types = [[0x42, 1, 1].repeat(levels - 1), vec![0x42, 0]].concat();
    let mut component = EXACT.component.to_vec();
    // A type section (7), with one type.
    component.push(7);
    leb128(&mut component, 1 + types.len());
    component.push(1);
    component.extend(types);
    Bomb { name: format!("{levels} nested types"), component }
}

/// Components that each contain the next one.
pub fn deep_components(levels: usize) -> Bomb {
    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";
    // Backwards, because the head of each says how long the rest is.
    let mut backwards: Vec<u8> = HEAD.iter().rev().copied().collect();
    for _ in 1..levels {
        let mut length = vec![];
        leb128(&mut length, backwards.len());
        backwards.extend(length.iter().rev());
        // A component section.
        backwards.push(4);
        backwards.extend(HEAD.iter().rev());
    }
    backwards.reverse();
    Bomb { name: format!("{levels} components inside each other"), component: backwards }
}

/// The default plugin, with another core module that is instantiated with it.
pub fn with_module(module: &[u8]) -> Vec<u8> {
    let (mut own, mut depth) = (0_u32, 0);
    for payload in Parser::new(0).parse_all(EXACT.component) {
        match payload.expect("a bundled plugin is valid") {
            Payload::ModuleSection { .. } => {
                own += u32::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    let mut component = EXACT.component.to_vec();
    // A core module section (1), and a core instance section (2) with one instance, which instantiates (0) the module
    // without arguments.
    component.push(1);
    leb128(&mut component, module.len());
    component.extend(module);
    component.extend([2, 4, 1, 0, u8::try_from(own).expect("few"), 0]);
    component
}

/// The default plugin, that imports functions of these names.
pub fn with_imports(names: &[&str]) -> Vec<u8> {
    let mut section = vec![];
    leb128(&mut section, names.len());
    for name in names {
        section.push(0);
        leb128(&mut section, name.len());
        section.extend(name.as_bytes());
        // A function of type 0.
        section.extend([1, 0]);
    }
    let (head, rest) = EXACT.component.split_at(8);
    // A type section (7) with one type, of a function without parameters and results.
    let mut component = [head, &[7, 5, 1, 0x40, 0, 1, 0], &[10]].concat();
    leb128(&mut component, section.len());
    component.extend(section);
    component.extend(rest);
    component
}

fn leb128(bytes: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

/// Type 0: a function that takes a pointer.
fn entry_type() -> TypeSection {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], []);
    types
}

fn module(types: TypeSection, functions: &[u32], bodies: &[Function]) -> Vec<u8> {
    let mut declared = FunctionSection::new();
    for &of in functions {
        declared.function(of);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut code = CodeSection::new();
    for body in bodies {
        code.function(body);
    }
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&memories).section(&code);
    module.finish()
}

fn function(
    locals: impl IntoIterator<Item = (u32, ValType), IntoIter: ExactSizeIterator>,
    write: impl FnOnce(&mut InstructionSink<'_>),
) -> Function {
    let mut function = Function::new(locals);
    let mut code = function.instructions();
    write(&mut code);
    code.end();
    function
}

fn at(n: u32) -> MemArg {
    MemArg { offset: u64::from(4 * n % 60_000), align: 2, memory_index: 0 }
}

fn load(code: &mut InstructionSink<'_>, n: u32) {
    code.local_get(0).i32_load(at(n));
}

fn push(code: &mut InstructionSink<'_>, values: usize) {
    (0..values).for_each(|n| load(code, u32::try_from(n).expect("few")));
}

fn drop_all(code: &mut InstructionSink<'_>, values: usize) {
    for _ in 0..values {
        code.drop();
    }
}

/// The most memory that this process ever had, in bytes.
pub fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(0) << 10
}
