//! A connection of its own, for what is done with a database at a command, apart from a gateway.

use std::error::Error;

use portcullis_ledger::LedgerError;
use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;
use crate::session::Session;
use crate::tls::Tls;
use crate::url::PostgresUrl;

/// A statement may take as long as there are rows, and the other store may take long meanwhile. All rows of a cursor are read.
const SET_UP: &str = "
    SET statement_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET cursor_tuple_fraction = 1";

/// A connection, with the runtime that drives it.
pub(crate) struct Link {
    session: Session,
    runtime: Runtime,
}

impl Link {
    pub(crate) fn to(url: &PostgresUrl) -> Result<Self, LedgerError> {
        let unavailable = |error: Box<dyn Error + Send + Sync>| LedgerError::Unavailable(error);
        let tls = Tls::new().map_err(|error| unavailable(error.into()))?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| unavailable(error.into()))?;
        let session = runtime.block_on(async {
            let session = Session::connect(url, tls).await?;
            session.batch(SET_UP).await?;
            Ok(session)
        });
        Ok(Link { session: session.map_err(Failure::into_ledger_error)?, runtime })
    }

    pub(crate) fn run<T>(
        &self,
        call: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, LedgerError> {
        self.runtime.block_on(call(&self.session)).map_err(Failure::into_ledger_error)
    }
}
