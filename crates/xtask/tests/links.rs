//! Tests that links between Markdown pages are valid, and that the paths they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The prefix of links to the repository's own files in pages that are also shown elsewhere, such as on crates.io.
const REPOSITORY: &str = "https://github.com/portcullis-gate/portcullis/blob/main/";

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Collects all Markdown files below `folder`, except in hidden directories, target directories and behind symbolic
/// links.
fn collect_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let name = name.to_str().unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !name.starts_with('.') && !["node_modules", "target"].contains(&name) {
            collect_pages(&entry.path(), pages);
        } else if kind.is_file() && name.ends_with(".md") {
            pages.push(entry.path());
        }
    }
}

/// The lines outside of fenced code blocks.
fn prose(page: &str) -> String {
    let outside = page.split("\n```").step_by(2);
    // A closing fence is followed by nothing but a line break.
    outside.collect()
}

/// The targets of links.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// The anchors that GitHub generates for a page's headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn all_links_between_pages_are_valid() {
    let workspace = workspace();
    let mut pages = Vec::new();
    collect_pages(&workspace, &mut pages);
    let (mut broken, mut followed) = (Vec::new(), 0);
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        for link in links(&prose(&text)) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if let Some(path) = path.strip_prefix(REPOSITORY) {
                workspace.join(path)
            } else if path.contains(':') {
                continue;
            } else if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(path)
            };
            let leads = target.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor));
            if !leads {
                broken.push(format!("{}: {link}", page.strip_prefix(&workspace).unwrap().display()));
            }
            followed += 1;
        }
    }
    assert!(followed > 20, "only {followed} links were found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn the_paths_that_pages_name_exist() {
    let workspace = workspace();
    let mut pages = Vec::new();
    collect_pages(&workspace, &mut pages);
    let folders = ["benches/", "crates/", "docs/", "examples/", "host/", "plugins/", "wit/", ".ci/"];
    let (mut missing, mut seen) = (Vec::new(), 0);
    // Those of templates are about the folder of a new plugin.
    let templates = workspace.join("crates/cli/templates");
    for page in pages.iter().filter(|page| !page.starts_with(&templates)) {
        let prose = prose(&fs::read_to_string(page).unwrap());
        let code = prose.split('`').skip(1).step_by(2);
        for path in code.filter(|text| folders.iter().any(|folder| text.starts_with(folder))) {
            if !workspace.join(path).exists() {
                missing.push(format!("{}: {path}", page.strip_prefix(&workspace).unwrap().display()));
            }
            seen += 1;
        }
    }
    assert!(seen > 80, "only {seen} paths were found");
    assert!(missing.is_empty(), "pages name what is not there:\n{}", missing.join("\n"));
}
