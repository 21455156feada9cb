//! The corpus passes, and every target has one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_fuzz::{TARGETS, seeds};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn paths_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The names of what is in a folder, without extensions.
fn names_in(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths_in(&self::folder().join(folder)).into_iter().map(stem).collect()
}

#[test]
fn every_target_does_with_its_corpus_what_it_must() {
    for (name, target) in TARGETS {
        let inputs = paths_in(&folder().join("corpus").join(name));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for path in inputs {
            let input = fs::read(&path).unwrap();
            if let Err(panic) = std::panic::catch_unwind(|| target(&input)) {
                eprintln!("it was {}", path.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
    portcullis_fuzz::clean_up();
}

/// `cargo test --release --workspace --test corpus -- --ignored`
#[test]
#[ignore = "writes the seeds anew"]
fn seeds_are_written() {
    for (target, seeds) in seeds::all() {
        let folder = folder().join("corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        for (n, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{n:02}")), seed).unwrap();
        }
    }
}

#[test]
fn the_corpus_has_the_seeds() {
    for (target, seeds) in seeds::all() {
        for (n, seed) in seeds.iter().enumerate() {
            let path = folder().join("corpus").join(target).join(format!("seed-{n:02}"));
            assert_eq!(
                fs::read(&path).unwrap_or_default(),
                *seed,
                "{}: write the seeds anew",
                path.display()
            );
        }
    }
}

#[test]
fn every_target_is_a_program_with_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len(), "no name stands twice");
    assert_eq!(names_in("corpus"), targets);
    assert_eq!(names_in("fuzz_targets"), targets);
    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string(folder().join("Cargo.toml")).unwrap()).unwrap();
    let programs = manifest["bin"].as_array().unwrap();
    // Random components have no bytes to be mutated: a program makes them.
    let is_target = |program: &&toml::Value| program["name"].as_str() != Some("hostile-components");
    let programs: Vec<_> = programs.iter().filter(is_target).collect();
    let named: BTreeSet<String> =
        programs.iter().map(|program| program["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(named, targets);
    for program in programs {
        let name = program["name"].as_str().unwrap();
        let path = folder().join(program["path"].as_str().unwrap());
        assert!(fs::read_to_string(&path).unwrap().contains(&format!("portcullis_fuzz::{name}(")), "{name}");
        // Else every build of the workspace would build it.
        assert_eq!(program["required-features"].as_array().map(Vec::len), Some(1), "{name}");
    }
}
