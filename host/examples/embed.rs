//! A blacklist inside another program: `cargo run --release --example embed target/plugins/exact.wasm`.
use portcullis_host::{
    Direction, Directions, Engine, Entry, Generation, Limits, MemoryAccount, Msisdn, Permutation,
    PermutationKey, Plugin, Recipe,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: embed PLUGIN.wasm")?;
    let plugin = Plugin::load_file(&Engine::new()?, file, Limits::default())?;
    let list = Generation::empty(Recipe::new(plugin, MemoryAccount::new(64 << 20)))?;

    // Keep a random key per tenant: the plugin never sees it, nor a number.
    let hidden = Permutation::new(PermutationKey::from_bytes(*b"sixteen bytes..."));
    let number = Msisdn::parse("+46 73-200 11 22")?;
    list.block(&[Entry { subject: hidden.subject(number), directions: Directions::BOTH }])?;
    eprintln!("{number:?}: {:?}", list.check(hidden.subject(number), Direction::Inbound)?);
    Ok(())
}
