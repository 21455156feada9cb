//! Throw-away servers. Most tests share one, which is started by the first that needs it and stopped when the tests end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

/// Nobody's user id, on all systems. PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// A running server that listens on a socket in a folder of its own.
pub(crate) struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    /// Starts the server again for each line on its input. Stops it, and removes the folder, when its input is closed: when this is
    /// dropped, or when this process ends, however it does.
    keeper: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _process: Child,
}

/// The server that tests share. Without PostgreSQL's programs, the test program ends here, and says so.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::new)
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = versions.filter_map(|entry| Some(entry.ok()?.path()));
    let newest = versions.filter(|path| version(path) >= Some(15)).max_by_key(|path| version(path))?;
    Some(newest.join("bin")).filter(|programs| programs.join("postgres").exists())
}

/// A folder that servers may write to.
fn new_folder() -> PathBuf {
    let folder = tempfile::tempdir().unwrap().keep();
    if is_root() {
        std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A command that runs in this folder, and not as root.
fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

impl Cluster {
    /// A server for a test that needs one of its own.
    pub(crate) fn new() -> Self {
        // What is tested is what is committed, not what survives a loss of power: without flushes it is faster.
        Cluster::with("fsync=off")
    }

    /// The same, with a setting.
    pub(crate) fn with(setting: &str) -> Self {
        match programs() {
            Some(programs) => Cluster::of(programs, setting),
            None if std::env::var_os("PORTCULLIS_REQUIRE_POSTGRES").is_some() => {
                panic!("PostgreSQL is required, but not installed: apt-get install postgresql")
            }
            #[expect(clippy::print_stderr, reason = "somebody reads it")]
            None => {
                eprintln!(
                    "SKIPPED: tests with PostgreSQL, which is not installed (apt-get install postgresql)"
                );
                std::process::exit(0);
            }
        }
    }

    /// A server that flushes each commit, to measure; `None` without PostgreSQL's programs.
    pub(crate) fn durable() -> Option<Self> {
        programs().map(|programs| Cluster::of(programs, "fsync=on"))
    }

    fn of(programs: PathBuf, setting: &str) -> Self {
        let folder = new_folder();
        let mut init = command(programs.join("initdb"), &folder);
        init.args([
            "--no-sync",
            "--auth=trust",
            "--username=portcullis",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(folder.join("data"))
        .stdout(Stdio::null());
        assert!(init.status().unwrap().success(), "initdb failed");
        Cluster::start(programs, folder, setting)
    }

    /// A standby of this server, which follows it.
    pub(crate) fn standby(&self) -> Self {
        let folder = new_folder();
        let mut copy = command(self.programs.join("pg_basebackup"), &folder);
        copy.args(["--no-sync", "-R", "-X", "stream", "-c", "fast", "-U", "portcullis", "-D"])
            .arg(folder.join("data"))
            .arg("-h")
            .arg(&self.folder);
        assert!(copy.status().unwrap().success(), "pg_basebackup failed");
        Cluster::start(self.programs.clone(), folder, "fsync=off")
    }

    /// Starts the server whose data is in the folder.
    fn start(programs: PathBuf, folder: PathBuf, setting: &str) -> Self {
        let script = r#"
            run() {
                "$1" -D "$2" -c listen_addresses= -c unix_socket_directories="$3" -c max_connections=300 -c "$5" \
                    >>"$3/log" 2>&1 &
                server=$!
                until "$4" -q -h "$3"; do kill -0 $server || exit 1; sleep 0.05; done
                echo ready
            }
            run "$@"
            while read -r _; do wait $server; run "$@"; done
            kill -QUIT $server
            wait $server
            rm -rf "$3""#;
        let mut keeper = command("sh", &folder);
        keeper
            .args(["-c", script, "sh"])
            .arg(programs.join("postgres"))
            .arg(folder.join("data"))
            .arg(&folder)
            .arg(programs.join("pg_isready"))
            .arg(setting)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // The server may be gone already when it is to be stopped.
            .stderr(Stdio::null());
        let mut process = keeper.spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let keeper = Mutex::new((input, BufReader::new(output)));
        let cluster = Cluster { folder, programs, keeper, _process: process };
        cluster.until_ready();
        cluster
    }

    fn until_ready(&self) {
        let mut line = String::new();
        self.keeper.lock().unwrap().1.read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert_eq!(line.trim(), "ready", "{}", log());
    }

    /// Creates an empty database. Returns its URL.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ledger_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        url(&[self], &name)
    }

    /// The contents of all files of a database, after what is in memory was written.
    pub(crate) fn bytes(&self, database: &str) -> Vec<u8> {
        let id = self.sql(database, "SELECT oid FROM pg_database WHERE datname = current_database()");
        let files = std::fs::read_dir(self.folder.join("data/base").join(id.trim())).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    /// Runs SQL by `psql`. Returns what it printed.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Like [`sql`](Self::sql). Returns the error if it fails.
    pub(crate) fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "portcullis", "-d", database, "-c", sql, "-h"])
            .arg(&self.folder)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Waits until a condition holds, for half a minute at most.
    pub(crate) fn until(&self, database: &str, condition: &str) {
        let wait = format!(
            "DO $$ BEGIN
                FOR n IN 1..3000 LOOP
                    PERFORM pg_stat_clear_snapshot();
                    IF {condition} THEN RETURN; END IF;
                    PERFORM pg_sleep(0.01);
                END LOOP;
                RAISE 'it never came true';
            END $$"
        );
        self.sql(database, &wait);
    }
}

/// The URL of a database on these servers, of which one accepts writes.
pub(crate) fn url(servers: &[&Cluster], database: &str) -> String {
    let hosts = servers.iter().map(|server| server.folder.to_str().unwrap().replace('/', "%2F"));
    let hosts = hosts.collect::<Vec<String>>().join(",");
    format!("postgres://portcullis@{hosts}/{database}?sslmode=disable")
}

/// Where the `postgres` crate finds the database of a URL that [`Cluster::database`] returned.
pub(crate) fn plain(url: &str) -> String {
    let (base, _) = url.split_once('?').unwrap();
    base.to_owned()
}

/// The name of the database in a URL that [`Cluster::database`] returned.
pub(crate) fn name_of(url: &str) -> &str {
    url.split(['/', '?']).nth(3).unwrap()
}

/// A connection of somebody else, open until this is dropped.
pub(crate) struct Open(Child);

impl Drop for Open {
    fn drop(&mut self) {
        // Without input, psql ends.
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Cluster {
    /// Begins a transaction that has written something, and leaves it open.
    pub(crate) fn hold_open(&self, database: &str) -> Open {
        self.hold(database, "BEGIN; CREATE TABLE somebody_else (id int)")
    }

    /// Makes every statement that reads or writes lists wait, as for a disk that has stalled.
    pub(crate) fn stall(&self, database: &str) -> Open {
        self.hold(database, "BEGIN; LOCK TABLE lists, entries, commits IN ACCESS EXCLUSIVE MODE")
    }

    /// Runs SQL on a connection that stays open.
    pub(crate) fn hold(&self, database: &str, sql: &str) -> Open {
        let mut psql = Command::new(self.programs.join("psql"))
            .args(["-qAtX", "-U", "portcullis", "-d", database, "-h"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = psql.stdin.as_mut().unwrap();
        writeln!(input, "{sql}; SELECT 'open';").unwrap();
        let mut line = String::new();
        BufReader::new(psql.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "open");
        Open(psql)
    }
}

/// The clock of a database.
impl Cluster {
    /// Creates an empty database whose clock a test can set. Returns its URL.
    pub(crate) fn database_with_clock(&self) -> String {
        let url = self.database();
        let name = name_of(&url);
        // Functions are found in the first schema of the path that has them.
        self.sql(
            name,
            "CREATE SCHEMA clock;
             CREATE TABLE clock.setting AS SELECT interval '0' AS ahead;
             CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS
                 'BEGIN RETURN pg_catalog.clock_timestamp() + (SELECT ahead FROM clock.setting); END'",
        );
        self.sql(name, &format!("ALTER DATABASE {name} SET search_path = public, clock, pg_catalog"));
        url
    }

    /// Sets the clock of such a database ahead of this machine's.
    pub(crate) fn set_clock(&self, database: &str, ahead: &str) {
        self.sql(database, &format!("UPDATE clock.setting SET ahead = '{ahead}'"));
    }
}

/// A file system of 96 MiB, in memory, on which a database can be.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Creates a database on this disk. Its log is elsewhere. Returns its URL.
    pub(crate) fn database(&self, cluster: &Cluster) -> String {
        let location = self.folder.join("tables").display().to_string();
        cluster.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{location}'"));
        cluster.sql("postgres", "CREATE DATABASE small TABLESPACE small");
        url(&[cluster], "small")
    }

    /// Takes all the space that is left.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.folder.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still use it.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
        let _ = std::fs::remove_dir(&self.folder);
    }
}

impl Cluster {
    /// A small disk that the server can use; `None` if this process may not mount one.
    pub(crate) fn small_disk(&self) -> Option<SmallDisk> {
        let folder = new_folder();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m,mode=777", "tmpfs"])
            .arg(&folder)
            .stderr(Stdio::null())
            .status();
        if !mount.is_ok_and(|status| status.success()) {
            std::fs::remove_dir(folder).unwrap();
            return None;
        }
        let disk = SmallDisk { folder };
        let tables = disk.folder.join("tables");
        std::fs::create_dir(&tables).unwrap();
        std::os::unix::fs::chown(&tables, Some(NOBODY), Some(NOBODY)).unwrap();
        Some(disk)
    }

    /// Changes a setting of the server for all sessions.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        self.sql("postgres", &format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.sql("postgres", "SELECT pg_reload_conf()");
        self.until("postgres", &format!("current_setting('{setting}') = '{value}'"));
    }
}

/// Two servers, of which one follows the other.
impl Cluster {
    /// From now on, commits wait for the standby.
    pub(crate) fn wait_for_standby(&self) {
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        self.until("postgres", "EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')");
    }

    /// Waits until a standby has all that was committed here.
    pub(crate) fn catch_up(&self, standby: &Cluster) {
        let reached = self.sql("postgres", "SELECT pg_current_wal_insert_lsn()");
        standby.until("postgres", &format!("pg_last_wal_replay_lsn() >= '{}'", reached.trim()));
    }

    /// Cuts this standby off: it follows nobody any more.
    pub(crate) fn cut_off(&self) {
        self.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        self.sql("postgres", "SELECT pg_reload_conf()");
        self.until("postgres", "NOT EXISTS (SELECT FROM pg_stat_wal_receiver)");
    }

    /// Makes this standby the primary.
    pub(crate) fn promote(&self) {
        assert_eq!(self.sql("postgres", "SELECT pg_promote(true, 60)").trim(), "t");
    }

    /// Kills all processes of the server at once.
    pub(crate) fn kill(&self) {
        let processes = self.stopped();
        signal("-KILL", &processes);
        while processes.iter().any(|id| status(id).is_some_and(|(state, _)| state != "Z")) {
            thread::yield_now();
        }
    }

    /// Starts the server again after it was killed.
    pub(crate) fn start_again(&self) {
        writeln!(self.keeper.lock().unwrap().0).unwrap();
        self.until_ready();
    }

    /// Stops all processes of the server, as if the machine hung.
    pub(crate) fn freeze(&self) {
        signal("-STOP", &self.stopped());
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        signal("-CONT", &self.stopped());
    }

    /// Stops the server's first process, so that it starts no others, and returns all of them.
    fn stopped(&self) -> Vec<String> {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let first = file.lines().next().unwrap().to_owned();
        signal("-STOP", &[first.as_str()]);
        let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
        let all = all.filter_map(|name| name.into_string().ok());
        let mut processes: Vec<String> =
            all.filter(|id| status(id).is_some_and(|(_, of)| of == first)).collect();
        processes.push(first);
        processes
    }
}

fn signal(signal: &str, processes: &[impl AsRef<std::ffi::OsStr>]) {
    assert!(Command::new("kill").arg(signal).args(processes).status().unwrap().success());
}

/// The state of a process, and its parent's id; `None` if there is no such process.
fn status(id: &str) -> Option<(String, String)> {
    id.parse::<u32>().ok()?;
    let stat = std::fs::read_to_string(Path::new("/proc").join(id).join("stat")).ok()?;
    // The name may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().map(ToOwned::to_owned);
    Some((fields.next()?, fields.next()?))
}
