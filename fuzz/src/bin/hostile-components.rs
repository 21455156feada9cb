//! Compiles random and hostile components in a child process, for as many minutes as the argument says, and checks what they cost.
//! `cargo xtask soak components` runs it.
#![allow(clippy::print_stdout, reason = "output for the terminal")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use portcullis_host::{
    CompileBudget, Compiler, Engine, Limits, LoadError, Plugin, compile_child_main, is_obeyed,
};

use bombs::{Bomb, peak};

#[path = "../../../host/tests/support/bombs.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the host's tests use all of it")]
mod bombs;

/// The most memory that this process may take, in bytes.
const MOST: u64 = 512 << 20;

fn main() -> ExitCode {
    // The compiler is this program, too.
    compile_child_main();
    let minutes = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let end = Instant::now() + Duration::from_secs_f64(60.0 * minutes);
    let engine =
        Engine::new().expect("this machine runs WebAssembly").with_compiler(Compiler::this_program());
    let mut random = Random::new();
    let (mut tried, mut loaded, mut failed) = (0_u64, 0_u64, 0_u64);
    while Instant::now() < end {
        let bomb = random.bomb();
        let mut limits = Limits::default();
        // Half of them past the first look.
        if random.below(2) == 0 {
            limits.compiling = CompileBudget::UNLIMITED;
        }
        tried += 1;
        match attempt(&engine, &bomb, &limits) {
            Ok(is_loaded) => loaded += u64::from(is_loaded),
            Err(why) => {
                failed += 1;
                println!("FAILED: {}: {why}", bomb.name);
                let file = format!("hostile-{tried}.wasm");
                std::fs::write(&file, &bomb.component).expect("the component is kept");
                println!("it is kept as {file}");
            }
        }
    }
    println!("{tried} components, {loaded} of them loaded, {failed} failures; at most {} MiB", peak() >> 20);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Loads a component. Returns whether it loads, or what rule it broke.
fn attempt(engine: &Engine, Bomb { name, component }: &Bomb, limits: &Limits) -> Result<bool, String> {
    let start = Instant::now();
    let loaded = Plugin::load(engine, component, limits.clone());
    let took = start.elapsed();
    let said = loaded.as_ref().map_or_else(ToString::to_string, |_| "it is loaded".to_owned());
    println!("{name}: {} KiB, {:.2} s: {said}", component.len() >> 10, took.as_secs_f64());
    if took > limits.turn + limits.load + Duration::from_secs(1) {
        return Err(format!("it took {took:?}"));
    }
    if said.contains(is_obeyed) || said.len() > 2000 {
        return Err(format!("it says {} bytes, or what is obeyed: {said:?}", said.len()));
    }
    let is_late = matches!(loaded, Err(LoadError::Late { .. }));
    if !is_late && loaded.as_ref().is_err_and(LoadError::is_transient) {
        return Err(format!("it is not refused: {said}"));
    }
    match peak() {
        bytes if bytes > MOST => Err(format!("this process took {bytes} bytes")),
        _ => Ok(loaded.is_ok()),
    }
}

/// A source of random components.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("PORTCULLIS_SOAK_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| std::process::id().into());
        println!("PORTCULLIS_SOAK_SEED={seed}");
        Random(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> usize {
        usize::try_from(self.next() % limit).expect("it is small")
    }

    /// A size, small ones as likely as large ones.
    fn size(&mut self, most: u32) -> usize {
        let bits = self.below(u64::from(most.ilog2()) + 1);
        (self.below(1 << bits) + (1 << bits)).min(most as usize)
    }

    fn bomb(&mut self) -> Bomb {
        let functions = self.size(32);
        let narrow = |n: usize| u32::try_from(n).expect("it is small");
        match self.below(8) {
            0 => bombs::chained_loops(self.size(9900), self.size(32)),
            1 => bombs::live_values(functions, self.size(8000), self.size(9000)),
            2 => bombs::wide_calls(self.size(60_000), self.size(32)),
            3 => bombs::many_types(self.size(80_000)),
            4 => bombs::wide_tables(functions, self.size(19_990), self.size(63)),
            5 => bombs::live_variables(functions, narrow(self.size(2000)), narrow(self.size(16_000))),
            6 => bombs::long_chains(functions, self.size(43_000)),
            _ => self.module(),
        }
    }

    /// A valid module of any kind, by wasm-smith.
    fn module(&mut self) -> Bomb {
        let length = self.size(1 << 16);
        let bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        let mut unstructured = arbitrary::Unstructured::new(&bytes);
        let config = wasm_smith::Config {
            max_imports: 0,
            max_types: 1000,
            max_funcs: 1000,
            max_instructions: 10_000,
            max_memories: 1,
            ..wasm_smith::Config::default()
        };
        let module = wasm_smith::Module::new(config, &mut unstructured).map(|module| module.to_bytes());
        let component = bombs::with_module(&module.unwrap_or_else(|_| b"\0asm\x01\0\0\0".to_vec()));
        Bomb { name: format!("a module of {length} random bytes"), component }
    }
}
