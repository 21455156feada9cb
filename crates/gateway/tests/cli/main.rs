//! The command line, driven as people and scripts drive it, against a gateway of the same binary.

mod export;
mod gateway;
mod import;
mod interrupted;
mod lists;
mod plugin;
mod refusals;
