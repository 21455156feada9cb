//! Tests of the command line, against a gateway of the same binary.

mod authoring;
mod completions;
mod config;
mod documentation;
mod export;
mod gateway;
mod import;
mod interrupted;
mod languages;
mod lists;
mod opt_outs;
mod packaging;
mod plugin;
mod refusals;
mod tenants;
