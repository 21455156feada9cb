//! The side of the running process.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_edge::gateway::Gateway;
use portcullis_host::ErrorChain;
use rustix::process::{Pid, Signal, kill_process};
use sd_notify::NotifyState;
use tokio::net::UnixListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::gate::Gate;
use super::message::{PROTOCOL, ToNew, ToOld, is_late, receive, send};
use super::sockets::Sockets;
use super::successor::{Program, Version};
use crate::background::Background;
use crate::systemd;

/// How long the other process may take to get prepared, before it needs the ledger.
const PREPARING: Duration = Duration::from_secs(60);
/// How long requests in progress are waited for, while others are held.
const DRAINING: Duration = Duration::from_secs(10);
/// How long the other process may take to load the lists.
const LOADING: Duration = Duration::from_secs(300);
/// The pause between two attempts to start a process that takes over.
const PAUSE: Duration = Duration::from_secs(10);

/// What the running process can hand over.
pub(crate) struct Giving {
    gate: Arc<Gate>,
    gateway: Arc<Gateway>,
    program: Program,
    background: Mutex<Option<Background>>,
    sockets: Mutex<Sockets>,
    /// The path of the socket on which processes ask.
    path: Option<PathBuf>,
    /// Held while a process takes over.
    busy: Mutex<()>,
    is_given_up: AtomicBool,
    is_recovering: AtomicBool,
    successor: watch::Sender<Option<Successor>>,
    /// Open until this process ends, by which the other one notices the end.
    stream: Mutex<Option<UnixStream>>,
    runtime: Handle,
}

/// The process that has taken over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Successor {
    /// Its id, if the system says so.
    pub(crate) pid: Option<i32>,
}

/// Why a process did not take over.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Refused(String),
    #[error("the process that was to take over ended, or said nothing")]
    Lost(#[from] io::Error),
}

impl Giving {
    /// Call it on a thread of the runtime. `path` is that of the socket on which processes ask, if there is one.
    pub(crate) fn new(
        gate: Arc<Gate>,
        gateway: Arc<Gateway>,
        program: Program,
        background: Background,
        sockets: Sockets,
        path: Option<PathBuf>,
    ) -> Arc<Self> {
        Arc::new(Giving {
            gate,
            gateway,
            program,
            background: Mutex::new(Some(background)),
            sockets: Mutex::new(sockets),
            path,
            busy: Mutex::new(()),
            is_given_up: AtomicBool::new(false),
            is_recovering: AtomicBool::new(false),
            successor: watch::Sender::new(None),
            stream: Mutex::default(),
            runtime: Handle::current(),
        })
    }

    /// Lets processes take over, until one has.
    pub(crate) async fn run(self: Arc<Self>, listener: UnixListener) {
        let own = rustix::process::geteuid().as_raw();
        loop {
            let accepted = tokio::select! {
                // They are the other process's now.
                _ = self.handed_over() => return,
                accepted = listener.accept() => accepted,
            };
            let peer = accepted.and_then(|(stream, _)| {
                let peer = stream.peer_cred()?;
                let stream = stream.into_std()?;
                stream.set_nonblocking(false)?;
                Ok((stream, peer))
            });
            match peer {
                Ok((stream, peer)) if peer.uid() == own => {
                    let giving = Arc::clone(&self);
                    drop(tokio::task::spawn_blocking(move || giving.talk(stream, peer.pid())));
                }
                Ok((_, peer)) => {
                    warn!(uid = peer.uid(), "another user's process tried to take over: refused");
                }
                Err(error) => {
                    warn!(%error, "can't accept processes that take over; retrying");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Starts a process that takes over, from the program that is installed now.
    pub(crate) fn start_successor(&self) {
        let waits = |mut child: std::process::Child| {
            thread::Builder::new().name("successor".to_owned()).spawn(move || {
                if let Ok(status) = child.wait()
                    && !status.success()
                {
                    error!(%status, "the process that was to take over has ended: lines before this one say why");
                }
            })
        };
        if let Err(error) = self.program.start(Version::Installed).and_then(waits) {
            error!(%error, "can't start a process that takes over: this one goes on");
        }
    }

    /// Waits until another process has taken over.
    pub(crate) async fn handed_over(&self) -> Successor {
        let mut successor = self.successor.subscribe();
        match successor.wait_for(Option::is_some).await.map(|successor| *successor) {
            Ok(Some(successor)) => successor,
            _ => std::future::pending().await,
        }
    }

    /// Whether another process has the ledger, or may have had it: nothing is to be written here any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::SeqCst)
    }

    /// Lets go of the sockets, so that nobody listens on them once those who use them in this process don't.
    pub(crate) fn drop_sockets(&self) {
        *self.sockets.lock() = Sockets::default();
    }

    /// Ends what runs beside requests, and removes the socket on which processes ask. Call it when the process stops.
    pub(crate) async fn end(&self) {
        let background = self.background.lock().take();
        if let Some(background) = background {
            background.end(&self.gateway).await;
        }
        if let Some(path) = &self.path
            && self.successor.borrow().is_none()
        {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Hands over to one process. Blocks until that is done, or has failed.
    fn talk(self: &Arc<Self>, mut stream: UnixStream, pid: Option<i32>) {
        let Some(_busy) = self.busy.try_lock() else {
            let why = "another process is taking over at this moment".to_owned();
            let _ = send(&mut stream, &ToNew::Refused { why }, None);
            return;
        };
        if self.successor.borrow().is_some() {
            return;
        }
        match self.hand_over(&mut stream, pid) {
            Ok(()) => {
                *self.stream.lock() = Some(stream);
                let main = pid.and_then(|pid| u32::try_from(pid).ok()).map(NotifyState::MainPid);
                self.runtime.block_on(systemd::tell(main.as_slice()));
                self.successor.send_replace(Some(Successor { pid }));
                return;
            }
            Err(Broken::Refused(why)) => {
                warn!(why, "a process was not allowed to take over: this one goes on");
                let _ = send(&mut stream, &ToNew::Refused { why }, None);
            }
            Err(error) => warn!(error = %ErrorChain(&error), "a process did not take over: this one goes on"),
        }
        if self.is_given_up() {
            error!(
                "the process that was to take over has left without the ledger being served: writes are held, and checks are answered \
                 from memory, until another process has taken over; one is started from this program"
            );
            self.recover();
        }
    }

    fn hand_over(&self, stream: &mut UnixStream, pid: Option<i32>) -> Result<(), Broken> {
        let unexpected =
            || Broken::Refused("it said something that this version does not understand".to_owned());
        stream.set_read_timeout(Some(PREPARING))?;
        let (ToOld::TakeOver { protocol, version, relay }, _) = receive(stream)? else {
            return Err(unexpected());
        };
        if protocol != PROTOCOL {
            return Err(Broken::Refused(format!(
                "version {version} takes over in another way than version {}: stop one, and start the other",
                env!("CARGO_PKG_VERSION")
            )));
        }
        info!(version, pid, "another process takes over");
        let sockets = self.sockets.lock();
        send(stream, &ToNew::Sockets { names: sockets.names() }, Some(&sockets))?;
        drop(sockets);
        let (ToOld::GiveUp, _) = receive(stream)? else { return Err(unexpected()) };
        self.give_up()?;
        send(stream, &ToNew::GivenUp, None)?;
        stream.set_read_timeout(Some(LOADING))?;
        match receive(stream) {
            Ok((ToOld::Ready, _)) => {}
            Ok(_) => return Err(unexpected()),
            Err(error) => {
                if is_late(&error)
                    && let Some(pid) = pid.and_then(Pid::from_raw)
                {
                    // Nobody else could open the ledger.
                    let _ = kill_process(pid, Signal::KILL);
                }
                return Err(error.into());
            }
        }
        // From here on nothing is answered from the memory of this process, so the other one may write.
        self.gate.relay_to(relay);
        send(stream, &ToNew::Go, None).inspect_err(|_| self.gate.hold_again())?;
        Ok(())
    }

    /// Releases the ledger.
    fn give_up(&self) -> Result<(), Broken> {
        if self.is_given_up() {
            return Ok(());
        }
        if !self.runtime.block_on(self.gate.hold(self.gate.has_rules(), DRAINING)) {
            return Err(Broken::Refused(format!(
                "requests in progress did not end within {} s; try again",
                DRAINING.as_secs()
            )));
        }
        let background = self.background.lock().take();
        if let Some(background) = background {
            self.runtime.block_on(background.end(&self.gateway));
        }
        self.is_given_up.store(true, Ordering::SeqCst);
        let given_up = self.gateway.engine.blocking_give_up();
        given_up.map_err(|error| Broken::Refused(ErrorChain(&error).to_string()))
    }

    /// Starts processes from this program until one has taken over.
    fn recover(self: &Arc<Self>) {
        if self.is_recovering.swap(true, Ordering::SeqCst) {
            return;
        }
        let giving = Arc::clone(self);
        let recovering = move || {
            while giving.successor.borrow().is_none() {
                let started = giving.program.start(Version::Own);
                if let Err(error) = started.and_then(|mut child| child.wait()) {
                    error!(%error, "can't start a process that takes over; retrying");
                }
                thread::sleep(PAUSE);
            }
        };
        if let Err(error) = thread::Builder::new().name("recovery".to_owned()).spawn(recovering) {
            error!(%error, "can't start a process that takes over: restart the gateway");
        }
    }
}
