//! `/admin/fleet`: the gateways that share a ledger.

use std::time::Duration;

use portcullis_api::{DifferenceAnswer, FleetAnswer, LeaseAnswer, NodeAnswer};
use portcullis_edge::gateway::AdminError;
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::Admin;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::blocking;
use portcullis_edge::wire::time;
use portcullis_ledger::Node;

pub(super) async fn get(Admin(gateway): Admin) -> Answer {
    blocking(move || {
        let fleet = gateway.engine.blocking_fleet().map_err(AdminError::from)?;
        // It knows that itself, also while nobody can tell it to the others.
        let own = gateway.engine.outage().staleness.unwrap_or_default();
        let differences = fleet.differences().into_iter().map(|(setting, nodes)| DifferenceAnswer {
            setting: setting.to_owned(),
            nodes: nodes.into_iter().map(str::to_owned).collect(),
        });
        let answer = FleetAnswer {
            shared: gateway.engine.is_shared(),
            nodes: fleet.nodes.iter().map(|node| answer_of(node, own)).collect(),
            leases: fleet
                .leases
                .iter()
                .map(|lease| LeaseAnswer { lease: lease.name.clone(), node: lease.holder.clone() })
                .collect(),
            differences: differences.collect(),
        };
        Ok::<_, ApiError>(answer::to_operator(&gateway.pools.answers, &answer)?)
    })
    .await
}

fn answer_of(node: &Node, own_staleness: Duration) -> NodeAnswer {
    NodeAnswer {
        node: node.name.clone(),
        answering: node.is_self,
        live: node.is_live,
        program: node.program.clone(),
        started: time(node.started),
        silent_ms: milliseconds(node.silent_for),
        staleness_ms: milliseconds(if node.is_self { own_staleness } else { node.staleness }),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
