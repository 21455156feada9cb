//! Names of functions, as their authors wrote them.

/// The longest name that is read, in bytes. A name can be of any size.
const LONGEST: usize = 1024;

/// The name without what Rust's compiler adds to it; that of a function in another language as it is. `None` if it is too long.
///
/// Foreign text: neither bounded nor escaped.
pub(crate) fn readable(name: &str) -> Option<String> {
    (name.len() <= LONGEST).then(|| format!("{:#}", rustc_demangle::demangle(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for (name, shown) in [
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZN3foo3bar17h05af221e174051e9E", "foo::bar"),
            ("dlmalloc", "dlmalloc"),
            ("", ""),
        ] {
            assert_eq!(readable(name).as_deref(), Some(shown));
        }
        assert_eq!(readable(&"x".repeat(LONGEST + 1)), None);
    }
}
