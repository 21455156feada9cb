//! The signals that the gateway handles.

use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// Receives signals.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user: Signal,
}

/// A signal to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM, which service managers send.
    Terminate,
    /// SIGINT, which a terminal sends.
    Interrupt,
}

/// What to do on a signal.
pub(crate) enum Command {
    Stop(Stop),
    /// Read the configuration file and the plugin folder again.
    Reload,
    /// Start the program that is installed now, to take over.
    Upgrade,
}

impl Stop {
    /// The name of the signal, for the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stop::Terminate => "SIGTERM",
            Stop::Interrupt => "SIGINT",
        }
    }
}

impl Signals {
    /// Handles the signals from now on.
    ///
    /// # Errors
    /// If the system does not let them be handled.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).context("can't handle SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("can't handle SIGINT")?,
            hang_up: signal(SignalKind::hangup()).context("can't handle SIGHUP")?,
            user: signal(SignalKind::user_defined2()).context("can't handle SIGUSR2")?,
        })
    }

    pub(crate) async fn next(&mut self) -> Command {
        tokio::select! {
            _ = self.terminate.recv() => Command::Stop(Stop::Terminate),
            _ = self.interrupt.recv() => Command::Stop(Stop::Interrupt),
            _ = self.hang_up.recv() => Command::Reload,
            _ = self.user.recv() => Command::Upgrade,
        }
    }

    /// The next signal to stop.
    pub(crate) async fn stop(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }

    /// Waits for as long as balancers may take to notice that the gateway is about to stop. After SIGINT it does not wait, and another
    /// signal to stop ends the waiting.
    pub(crate) async fn lame_duck(&mut self, after: Stop, time: Duration) {
        if time.is_zero() {
            return;
        }
        if after == Stop::Interrupt {
            info!("not waiting for balancers: they are waited for after SIGTERM only");
            return;
        }
        info!(seconds = time.as_secs(), "/readyz says so to balancers; all requests are still served");
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            signal = self.stop() => info!(signal = signal.name(), "no longer waiting for balancers"),
        }
    }
}
