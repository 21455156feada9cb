//! The README shows the examples as they are.

#[test]
fn the_readme_has_the_embedding_and_the_smallest_plugin_word_for_word() {
    let readme = include_str!("../../README.md");
    for example in [include_str!("../examples/embed.rs"), include_str!("../../benches/trivial/src/lib.rs")] {
        assert!(readme.contains(example), "the README's copy is not up to date: it should be\n{example}");
    }
}
