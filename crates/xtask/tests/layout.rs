//! Tests that the crates are laid out as docs/architecture.md says, and that no two folders of a crate import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a crate, tests aside: some 9,000.
const MOST_LINES: usize = 9_300;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file by the path of its module: `live/recovery.rs` is `["live", "recovery"]`.
type Module = Vec<String>;

/// Whether a file or folder holds nothing but tests, or what they and fuzzing are reached by.
fn is_for_tests(file: &Path) -> bool {
    ["tests", "tests.rs", "testing.rs", "fuzz", "fuzz.rs"].iter().any(|name| file.ends_with(name))
}

/// A file's text without its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

fn modules(src: &Path) -> BTreeMap<Module, String> {
    fn collect(dir: &Path, path: &Module, modules: &mut BTreeMap<Module, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let file = entry.unwrap().path();
            if is_for_tests(&file) {
                continue;
            }
            let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
            if file.is_dir() {
                collect(&file, &[path.as_slice(), &[stem]].concat(), modules);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let is_folder_itself = matches!(stem.as_str(), "mod" | "lib" | "main");
                let module =
                    if is_folder_itself { path.clone() } else { [path.as_slice(), &[stem]].concat() };
                modules.insert(module, fs::read_to_string(file).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(src, &Module::new(), &mut all);
    all
}

/// The paths that a file imports or names, from `crate`, `super` or `self` on, with groups taken apart.
fn paths(text: &str) -> Vec<String> {
    let code: String = without_tests(text)
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join(" ");
    let mut paths = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | ':' | '$')) {
                continue;
            }
            expand("", &code[at..], &mut paths);
        }
    }
    paths
}

/// Adds the path at the beginning of `rest`, or each path of the group there, behind `prefix`.
fn expand<'a>(prefix: &str, rest: &'a str, paths: &mut Vec<String>) -> &'a str {
    let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(rest.len());
    let path = format!("{prefix}{}", &rest[..end]);
    let mut rest = &rest[end..];
    if !path.ends_with("::") || !rest.starts_with('{') {
        paths.push(path);
        return rest;
    }
    while rest.starts_with(['{', ',']) {
        rest = rest[1..].trim_start();
        if rest.starts_with('}') {
            break;
        }
        rest = expand(&path, rest, paths).trim_start();
        if let Some(alias) = rest.strip_prefix("as ") {
            rest = alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').trim_start();
        }
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

/// The module that a path names something of, as seen from `module`.
fn resolve(path: &str, module: &Module, modules: &BTreeMap<Module, String>) -> Module {
    let mut at = module.clone();
    for segment in path.split("::") {
        match segment {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            "self" => {}
            name => {
                at.push(name.to_owned());
                if !modules.contains_key(&at) {
                    at.pop();
                    break;
                }
            }
        }
    }
    at
}

/// The name of the part of a folder that a module of it is in: a file, or a folder with all that is in it.
fn part(module: &Module, folder: &Module) -> Option<String> {
    module.strip_prefix(folder.as_slice())?.first().cloned()
}

/// Circles between the parts of any folder, unless all of these are files of it.
fn circles(modules: &BTreeMap<Module, String>) -> BTreeSet<String> {
    let mut imports: BTreeSet<(Module, Module)> = BTreeSet::new();
    for (module, text) in modules {
        imports.extend(paths(text).iter().map(|path| (module.clone(), resolve(path, module, modules))));
    }
    let folders: BTreeSet<Module> =
        modules.keys().flat_map(|module| (0..module.len()).map(|depth| module[..depth].to_vec())).collect();
    let mut circles = BTreeSet::new();
    for folder in &folders {
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in &imports {
            if let (Some(from), Some(to)) = (part(from, folder), part(to, folder))
                && from != to
            {
                arrows.entry(from).or_default().insert(to);
            }
        }
        let reached = |from: &String| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(at) = next.pop() {
                next.extend(
                    arrows.get(&at).into_iter().flatten().filter(|to| seen.insert((*to).clone())).cloned(),
                );
            }
            seen
        };
        for from in arrows.keys() {
            let round: BTreeSet<String> =
                reached(from).into_iter().filter(|to| reached(to).contains(from)).collect();
            let is_folder =
                |name: &String| folders.contains(&[folder.as_slice(), std::slice::from_ref(name)].concat());
            if round.len() > 1 && round.iter().any(is_folder) {
                circles.insert(format!(
                    "{}/{{{}}}",
                    folder.join("/"),
                    round.into_iter().collect::<Vec<_>>().join(", ")
                ));
            }
        }
    }
    circles
}

#[test]
fn no_two_folders_of_a_crate_import_each_other() {
    let workspace = workspace();
    let crates = fs::read_dir(workspace.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for krate in crates.chain([workspace.join("host")]) {
        let modules = modules(&krate.join("src"));
        found.extend(circles(&modules).into_iter().map(|circle| format!("{}: {circle}", krate.display())));
    }
    assert!(found.is_empty(), "these import each other:\n{}", found.join("\n"));
}

#[test]
fn a_circle_between_folders_is_found_and_one_within_a_folder_is_none() {
    let files = |files: &[(&str, &str)]| -> BTreeMap<Module, String> {
        files
            .iter()
            .map(|(path, text)| {
                (
                    path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
                    (*text).to_owned(),
                )
            })
            .collect()
    };
    let two =
        files(&[("", ""), ("a", ""), ("a/b", "use crate::c::{D, e::F as G};"), ("c", "use super::a::b::H;")]);
    assert_eq!(circles(&two), BTreeSet::from(["/{a, c}".to_owned()]));
    let within = files(&[("", ""), ("a", ""), ("a/b", "use super::c::D;"), ("a/c", "use super::b::E;")]);
    assert!(circles(&within).is_empty());
    let one_way =
        files(&[("", ""), ("a", ""), ("a/b", "use crate::c::D;"), ("c", "// crate::a::b\nfn f() {}")]);
    assert!(circles(&one_way).is_empty());
}

/// The rows of the table of crates: name, what it may import, lines.
fn table(page: &str) -> BTreeMap<String, (String, usize)> {
    let rows = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, imports, lines] = cells[..] else { return None };
        Some((name.trim_matches('`').to_owned(), (imports.to_owned(), lines.replace(',', "").parse().ok()?)))
    });
    rows.collect()
}

fn lines(src: &Path) -> usize {
    modules(src).values().map(|text| without_tests(text).lines().count()).sum()
}

/// The crates of this workspace that a crate depends on, by the names of their folders.
fn imports(krate: &Path) -> BTreeSet<String> {
    let manifest = fs::read_to_string(krate.join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("\n[").find(|table| table.starts_with("dependencies]"));
    let names = dependencies.unwrap_or_default().lines().filter_map(|line| line.split_once(" = "));
    names.filter_map(|(name, _)| name.strip_prefix("portcullis-")).map(str::to_owned).collect()
}

#[test]
fn the_table_of_crates_is_as_the_crates_are() {
    let workspace = workspace();
    let table = table(&fs::read_to_string(workspace.join("docs/architecture.md")).unwrap());
    let mut wrong = Vec::new();
    for entry in fs::read_dir(workspace.join("crates")).unwrap() {
        let krate = entry.unwrap().path();
        let name = format!("crates/{}", krate.file_name().unwrap().to_str().unwrap());
        let lines = lines(&krate.join("src"));
        if lines > MOST_LINES {
            wrong.push(format!("{name} has {lines} lines: take it apart"));
        }
        match table.get(&name) {
            None => wrong.push(format!("{name} is missing")),
            Some((_, told)) if lines.abs_diff(*told) > lines / 10 + 20 => {
                wrong.push(format!("{name} has {lines} lines, not {told}"));
            }
            Some((told, _)) => {
                let imports = imports(&krate);
                let told: BTreeSet<String> = told.split('`').skip(1).step_by(2).map(str::to_owned).collect();
                if imports != told {
                    wrong.push(format!("{name} imports {imports:?}, not {told:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "docs/architecture.md:\n{}", wrong.join("\n"));
}
