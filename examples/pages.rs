//! The examples of docs/embedding.md, as doctests.
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
mod embedding {}
