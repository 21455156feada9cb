//! Block a number and check it: Portcullis embedded in another program.
use portcullis_engine::{Change, Direction, Engine, Msisdn, TenantSpec, ledger::Actor};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::builder().ledger("sqlite://lists.db").master_key_file("lists.key").open().await?;
    engine.put_tenant(TenantSpec::new("acme")?.sender("support")?).await?;
    let list = engine.sender_list("acme", "support")?;
    let number: Msisdn = "+46732001122".parse()?;
    list.write(&Actor::new("crm")?, [Change::block(number)]).await?;
    assert!(list.check(number, Direction::Outbound).await?.is_blocked());
    Ok(engine.close().await?)
}
