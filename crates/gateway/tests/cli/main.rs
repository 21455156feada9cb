//! The command line, driven as people and scripts drive it, against a gateway of the same binary.

mod documentation;
mod export;
mod gateway;
mod import;
mod interrupted;
mod lists;
mod opt_outs;
mod plugin;
mod refusals;
