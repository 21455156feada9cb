//! Says which acknowledged changes of tenants a database server that took over does not have.

use tracing::error;

use crate::context::Context;
use crate::events::Event;

/// Reports what was found undone since the last call. Costs nothing if nothing was.
pub(crate) fn report(context: &Context) {
    for tenant in context.settings.take_undone() {
        error!(
            %tenant,
            "A CHANGE OF THE TENANT WAS LOST by the ledger, as at a failover: its settings, tokens and plugin are as they were before, \
             or it is there again although it was forgotten. Make the change again"
        );
        context.events.emit(|| Event::ChangeLost { tenant });
    }
}
