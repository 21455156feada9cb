//! The child process that compiles, and the cache of what it made.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_host::{
    ArtefactCache, Compiler, Directions, Engine, Generation, InvalidComponent, Limits, LoadError, Plugin,
    Verdict,
};
use portcullis_plugin_bundle::{EVIL, EXACT, PREFIX, TRIVIAL};
use support::{entry, recipe, subject};
use tempfile::TempDir;

const COMPILER: &str = env!("CARGO_BIN_EXE_portcullis-compiler");

fn engine(program: &str, args: &[&str]) -> Engine {
    let args = args.iter().map(Into::into).collect();
    let engine = Engine::new().expect("this machine runs WebAssembly");
    engine.with_compiler(Compiler::Child { program: program.into(), args })
}

/// An engine whose compiler is a shell script, in which `$0` is the real compiler and `$1` its bounds.
fn scripted(script: &str) -> Engine {
    engine("/bin/sh", &["-c", script, COMPILER])
}

fn trivial(engine: &Engine, limits: Limits) -> Result<Plugin, LoadError> {
    Plugin::load(engine, TRIVIAL.component, limits)
}

#[test]
fn every_bundled_plugin_compiles_in_a_child_which_gives_up_what_it_can() {
    let engine = engine(COMPILER, &["compile"]);
    assert_eq!(engine.confinement(), None);
    for plugin in [EXACT, PREFIX, EVIL, TRIVIAL] {
        Plugin::load(&engine, plugin.component, Limits::default()).expect("a bundled plugin loads");
    }
    let confinement = engine.confinement().expect("a child has compiled");
    if cfg!(target_os = "linux") {
        // Landlock depends on how the kernel was built.
        assert!(confinement.no_new_privileges && confinement.seccomp, "{confinement:?}");
    }
    let plugin = Plugin::load(&engine, EXACT.component, Limits::default()).expect("a bundled plugin loads");
    let list = Generation::empty(recipe(plugin, "{}")).expect("it starts");
    list.block(&[entry(7, Directions::BOTH)]).expect("it is blocked");
    let check = |value| list.check(subject(value), portcullis_host::Direction::Inbound).expect("it answers");
    assert_eq!((check(7), check(8)), (Verdict::Block, Verdict::Allow));
}

#[test]
fn what_is_no_plugin_is_refused_in_the_same_words_in_a_child() {
    let other = wat::parse_str(
        r#"(component (instance $i) (export "portcullis:blacklist/blacklist@0.1.0" (instance $i)))"#,
    )
    .expect("valid WebAssembly text");
    let refusal = |engine: &Engine, bytes: &[u8]| {
        Plugin::load(engine, bytes, Limits::default()).map(drop).expect_err("it is no plugin").to_string()
    };
    let in_process = Engine::new().expect("this machine runs WebAssembly");
    let child = engine(COMPILER, &["compile"]);
    let half = &EXACT.component[..EXACT.component.len() / 2];
    for bytes in [&b"noise"[..], b"\0asm\x0d\0\x01\0", half, &other] {
        assert_eq!(refusal(&child, bytes), refusal(&in_process, bytes));
    }
}

#[test]
fn a_compiler_that_can_not_be_run_says_nothing_about_the_plugin() {
    for (engine, why) in [
        (engine("/nowhere/compiler", &["compile"]), "/nowhere/compiler: "),
        (engine("/bin/true", &[]), "cut short or changed"),
        (engine("/bin/false", &[]), "it exited with 1"),
        (engine("/bin/echo", &[]), "cut short or changed"),
        // Not started as a compiler.
        (engine(COMPILER, &[]), "is started by a host"),
        (scripted(r#"kill -9 $$"#), "the system may be short of memory"),
        (scripted(r#"kill -SYS $$"#), "a system call that its sandbox forbids"),
        (scripted(r#""$0" compile "$1" | head -c 1000"#), "cut short or changed"),
        // One bit of the machine code is another one.
        (scripted(r#""$0" compile "$1" | tr '\000' '\001'"#), "cut short or changed"),
    ] {
        let error = trivial(&engine, Limits::default()).map(drop).expect_err(why);
        assert!(matches!(error, LoadError::NoCompiler(_)) && error.is_transient(), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_child_is_limited_before_it_reads_a_byte() {
    let mut child = Command::new(COMPILER)
        .args(["compile", "portcullis-bounds:268435456:10"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is started");
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
    // It waits for its request, which never comes. The system calls are the last that it gives up.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !read("status").contains("Seccomp:\t2") {
        assert!(Instant::now() < deadline, "{}", read("status"));
        thread::yield_now();
    }
    assert!(read("status").contains("NoNewPrivs:\t1"));
    let limits: Vec<String> = read("limits").lines().map(str::to_owned).collect();
    for (name, soft, hard) in [
        ("Max address space", "268435456", "268435456"),
        ("Max cpu time", "10", "11"),
        ("Max core file size", "0", "0"),
        ("Max file size", "0", "0"),
        ("Max open files", "3", "3"),
    ] {
        let limit = limits.iter().find_map(|line| line.strip_prefix(name)).expect(name);
        let values: Vec<&str> = limit.split_whitespace().take(2).collect();
        assert_eq!(values, [soft, hard], "{name}");
    }
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(21));
}

#[test]
fn a_compiler_that_hangs_is_killed_and_leaves_no_zombie() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let limits = Limits { load: Duration::from_millis(300), ..Limits::default() };
    let error = trivial(&scripted(&script), limits).map(drop).expect_err("it never answers");
    assert!(matches!(error, LoadError::Late { .. }) && error.is_transient(), "{error}");
    let pid = fs::read_to_string(file).expect("it was started");
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "it was killed and reaped");
}

#[test]
fn what_a_compiler_writes_is_read_within_bounds() {
    for script in ["exec cat /dev/zero", "cat /dev/zero >&2 & exec cat /dev/zero"] {
        let error = trivial(&scripted(script), Limits::default()).map(drop).expect_err("it is no answer");
        assert!(matches!(error, LoadError::Invalid(InvalidComponent::TooMuchCode { .. })), "{error}");
    }
    let script = r#"printf 'a\nb\033[2J' >&2; head -c 1000000 /dev/zero | tr '\000' x >&2; exit 11"#;
    let error =
        trivial(&scripted(script), Limits::default()).map(drop).expect_err("it is refused").to_string();
    assert!(error.contains(r"can't be compiled: a\nb\u{1b}[2Jxxx") && error.len() < 1000, "{error}");
}

/// A cache in a folder, and the problems that it had.
struct Cached {
    dir: TempDir,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Cached {
    fn new() -> Self {
        Cached { dir: tempfile::tempdir().expect("a folder"), problems: Arc::default() }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("compiled")
    }

    fn file(&self) -> PathBuf {
        let mut files = fs::read_dir(self.folder()).expect("it was written").map(|file| file.unwrap().path());
        let file = files.next().expect("a file");
        assert_eq!(files.next(), None);
        file
    }

    /// Loads the plugin as after a restart. Returns whether it came from the cache, and what the problems were.
    fn load(&self, key: [u8; 32], limits: Limits) -> (bool, Vec<String>) {
        let problems = Arc::clone(&self.problems);
        let cache = ArtefactCache::open(self.folder(), key).on_problem(move |problem| {
            problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem.to_string());
        });
        let engine = Engine::new().expect("this machine runs WebAssembly").with_cache(cache);
        let plugin = trivial(&engine, limits).expect("it loads in any case");
        let problems = std::mem::take(&mut *self.problems.lock().unwrap_or_else(PoisonError::into_inner));
        (plugin.is_from_cache(), problems)
    }
}

const KEY: [u8; 32] = [7; 32];

#[test]
fn a_plugin_is_compiled_once_for_all_starts() {
    let cached = Cached::new();
    assert_eq!(cached.load(KEY, Limits::default()), (false, vec![]));
    assert_eq!(cached.load(KEY, Limits::default()), (true, vec![]));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cached.folder()), mode(&cached.file())), (0o700, 0o600));
    // With other bounds it was not checked.
    let mut limits = Limits::default();
    limits.compiling.functions += 1;
    assert_eq!(cached.load(KEY, limits), (false, vec![]));
    assert_eq!(cached.load(KEY, Limits::default()), (true, vec![]));
}

#[test]
fn a_file_that_was_changed_is_never_executed_but_replaced() {
    let cached = Cached::new();
    cached.load(KEY, Limits::default());
    let file = cached.file();
    let good = fs::read(&file).expect("it is there");
    let steps = (0..good.len()).step_by(good.len() / 24).chain([31, 32, good.len() - 1]);
    let mut changed: Vec<Vec<u8>> = steps
        .map(|place| {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            bytes
        })
        .collect();
    changed.extend([good[..good.len() - 1].to_vec(), good[..16].to_vec(), vec![]]);
    changed.push([&good[..], b"more"].concat());
    for bytes in changed {
        fs::write(&file, bytes).expect("it is changed");
        let (is_from_cache, problems) = cached.load(KEY, Limits::default());
        assert!(!is_from_cache);
        assert!(
            problems.len() == 1 && problems[0].contains("damaged, or was made by somebody else"),
            "{problems:?}"
        );
        assert_eq!(cached.load(KEY, Limits::default()), (true, vec![]), "it was replaced");
    }
    // By another key, as somebody without it would have to seal it.
    fs::remove_file(&file).expect("it is removed");
    cached.load([8; 32], Limits::default());
    let (is_from_cache, problems) = cached.load(KEY, Limits::default());
    assert!(!is_from_cache && problems.len() == 1, "{problems:?}");
}

#[test]
fn a_file_of_another_component_is_not_taken_for_this_one() {
    let cached = Cached::new();
    cached.load(KEY, Limits::default());
    let file = cached.file();
    let folder = tempfile::tempdir().expect("a folder");
    let cache = ArtefactCache::open(folder.path(), KEY);
    let engine = Engine::new().expect("this machine runs WebAssembly").with_cache(cache);
    Plugin::load(&engine, PREFIX.component, Limits::default()).expect("a bundled plugin loads");
    let other = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    fs::copy(other, &file).expect("it is replaced");
    let (is_from_cache, problems) = cached.load(KEY, Limits::default());
    assert!(!is_from_cache && problems.len() == 1, "{problems:?}");
}

#[test]
fn a_cache_that_can_not_be_used_is_told_and_plugins_load_all_the_same() {
    let cached = Cached::new();
    fs::write(cached.folder(), b"no folder").expect("a file");
    let (is_from_cache, problems) = cached.load(KEY, Limits::default());
    assert!(!is_from_cache);
    assert!(problems.iter().any(|problem| problem.contains("can't be kept")), "{problems:?}");

    let cached = Cached::new();
    cached.load(KEY, Limits::default());
    let file = cached.file();
    fs::remove_file(&file).expect("it is removed");
    // Opening a pipe would wait for a writer.
    assert!(Command::new("mkfifo").arg(&file).status().expect("mkfifo runs").success());
    let (is_from_cache, problems) = cached.load(KEY, Limits::default());
    assert!(!is_from_cache && problems[0].contains("can't be read"), "{problems:?}");
    fs::remove_file(&file).expect("it was replaced");
}
