//! The line by which a configuration file says that it is whole.

/// The last line of a file that says that it is whole. To TOML it is a comment.
///
/// A file that was cut off where a table begins is a valid file, of fewer tenants. Only its end can tell that it is all there.
pub(crate) const END: &str = "# end";

/// Whether the last line of the text says that it is whole.
pub(super) fn is_whole(text: &str) -> bool {
    text.trim_end().lines().next_back().is_some_and(|line| line.trim_end() == END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_says_that_a_file_is_whole() {
        let whole = "[server]\nlisten = \"127.0.0.1:0\"\n\n# end\n";
        assert!(is_whole(whole) && is_whole(whole.trim_end()) && is_whole("# end  \r\n\n"));
        for cut in 0..whole.trim_end().len() {
            assert!(!is_whole(&whole[..cut]), "{cut}");
        }
        for text in ["", "# end\n[server]\n", "a = 1 # end\n", "# end of the file\n", "## end\n"] {
            assert!(!is_whole(text), "{text}");
        }
    }
}
