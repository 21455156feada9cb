#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address_limit;
mod blocking;
mod budget;
mod fair_queue;
mod lane;
mod lifecycle;
mod log_limit;
mod owner;
mod pools;
mod priority;
mod queue;
mod queues;
mod rate_limit;
mod reading;
mod reported;
mod reserved;
mod rounds;
mod share;
mod turn;
mod turns;
mod unfinished;
mod waiting_room;
mod work;
mod workers;

pub use address_limit::AddressLimit;
pub use blocking::blocking;
pub use budget::{Budget, Shares};
pub use fair_queue::{BULK, FairQueue};
pub use lane::Lane;
pub use lifecycle::{Closed, Lifecycle, Operation};
pub use log_limit::LogLimit;
pub use owner::Owner;
pub use pools::Pools;
pub use rate_limit::{Quota, RateLimit, RateLimited};
pub use reading::Reading;
pub use reported::Reported;
pub use reserved::Reserved;
pub use rounds::Rounds;
pub use share::Share;
pub use turn::Overdue;
pub use turns::{Turns, WebhookTurn};
pub use unfinished::Unfinished;
pub use work::Work;
pub use workers::Workers;
