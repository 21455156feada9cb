//! Pages show the examples as they are.

#[track_caller]
fn shows(page: &str, text: &str, example: &str) {
    assert!(text.contains(example), "{page} has another copy of this example:\n{example}");
}

#[test]
fn the_pages_show_the_examples_word_for_word() {
    shows("README.md", include_str!("../../README.md"), include_str!("../../benches/trivial/src/lib.rs"));
    shows("docs/embedding.md", include_str!("../../docs/embedding.md"), include_str!("../examples/embed.rs"));
}
