//! The README's examples are up to date.

#[test]
fn the_readme_contains_the_examples_verbatim() {
    let readme = include_str!("../../README.md");
    for example in [include_str!("../examples/embed.rs"), include_str!("../../benches/trivial/src/lib.rs")] {
        assert!(readme.contains(example), "the README's copy is outdated: it should be\n{example}");
    }
}
