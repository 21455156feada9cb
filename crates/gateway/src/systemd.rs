//! Tells systemd what the gateway is doing, as units of `Type=notify` and `Type=notify-reload` expect it. Without systemd, which sets
//! `NOTIFY_SOCKET`, nothing is told.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::future::pending;
use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::UnixDatagram;
use tokio::time::timeout;
use tracing::debug;

/// How often systemd is told that loading goes on, and how long it then waits for the next time.
const LOADING: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// How long systemd may leave a message unread before it is given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Requests are answered.
pub(crate) async fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]).await;
}

/// The configuration is being read again. [`ready`] ends it.
pub(crate) async fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    let now = now.unwrap_or(NotifyState::Status("reloading the configuration"));
    tell(&[NotifyState::Reloading, now]).await;
}

/// Says again and again that the lists are being loaded, so that a long start is not taken for a failed one. Never returns.
pub(crate) async fn loading() {
    loop {
        tell(&[extension(LOADING.1), NotifyState::Status("loading the lists")]).await;
        tokio::time::sleep(LOADING.0).await;
    }
}

/// The gateway stops, which takes at most this time.
pub(crate) async fn stopping(time: Duration, status: &str) {
    tell(&[NotifyState::Stopping, extension(time), NotifyState::Status(status)]).await;
}

/// Tells the watchdog that the runtime's threads make progress, if the unit has `WatchdogSec=`. Never returns.
pub(crate) async fn watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return pending().await };
    loop {
        tell(&[NotifyState::Watchdog]).await;
        tokio::time::sleep(patience / 3).await;
    }
}

fn extension(time: Duration) -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))
}

/// Sends these states in one message.
pub(crate) async fn tell(states: &[NotifyState<'_>]) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let mut message = String::new();
    for state in states {
        let _ = writeln!(message, "{state}");
    }
    let sent = timeout(PATIENCE, send(&socket, message.as_bytes())).await;
    if let Err(error) = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        debug!(%error, "systemd can't be told what the gateway is doing");
    }
}

async fn send(path: &OsStr, message: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.send(message).await?;
    Ok(())
}
