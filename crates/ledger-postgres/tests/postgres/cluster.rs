//! A throw-away server, started by the first test that needs one and stopped when the tests end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nobody's user id, on all systems. PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// A running server that listens on a socket in a folder of its own.
pub(crate) struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    /// Stops the server, and removes the folder, when its standard input is closed: when this process ends, however it does.
    _keeper: Child,
}

/// The server of this test program. Without PostgreSQL's programs, the test program ends here, and says so.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| match programs() {
        Some(programs) => Cluster::start(programs),
        None if std::env::var_os("PORTCULLIS_REQUIRE_POSTGRES").is_some() => {
            panic!("PostgreSQL is required, but not installed: apt-get install postgresql")
        }
        #[expect(clippy::print_stderr, reason = "somebody reads it")]
        None => {
            eprintln!("SKIPPED: tests with PostgreSQL, which is not installed (apt-get install postgresql)");
            std::process::exit(0);
        }
    })
}

/// The folder of the newest version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = versions.filter_map(|entry| Some(entry.ok()?.path()));
    let newest = versions.filter(|path| version(path) >= Some(15)).max_by_key(|path| version(path))?;
    Some(newest.join("bin")).filter(|programs| programs.join("postgres").exists())
}

impl Cluster {
    fn start(programs: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
            use std::os::unix::fs::MetadataExt as _;
            own.uid() == 0
        });
        let as_somebody = |command: &mut Command| {
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
        };
        if is_root {
            std::os::unix::fs::chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = folder.join("data");
        let mut init = Command::new(programs.join("initdb"));
        init.args([
            "--no-sync",
            "--auth=trust",
            "--username=portcullis",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ])
        .arg(&data)
        .current_dir(&folder)
        .stdout(Stdio::null());
        as_somebody(&mut init);
        assert!(init.status().unwrap().success(), "initdb failed");
        // What is tested is what is committed, not what survives a loss of power: without flushes it is faster.
        let script = r#"
            "$1" -D "$2" -c listen_addresses= -c unix_socket_directories="$3" -c fsync=off -c max_connections=300 \
                >"$3/log" 2>&1 &
            server=$!
            until "$4" -q -h "$3"; do kill -0 $server || exit 1; sleep 0.05; done
            echo ready
            read -r _
            kill -QUIT $server
            wait $server
            rm -rf "$3""#;
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", script, "sh"])
            .arg(programs.join("postgres"))
            .arg(&data)
            .arg(&folder)
            .arg(programs.join("pg_isready"))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        as_somebody(&mut keeper);
        let mut keeper = keeper.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(
            line.trim(),
            "ready",
            "{}",
            std::fs::read_to_string(folder.join("log")).unwrap_or_default()
        );
        Cluster { folder, programs, _keeper: keeper }
    }

    /// Creates an empty database. Returns its URL.
    pub(crate) fn database(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("ledger_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The contents of all files of a database, after what is in memory was written.
    pub(crate) fn bytes(&self, database: &str) -> Vec<u8> {
        let id = self.sql(database, "SELECT oid FROM pg_database WHERE datname = current_database()");
        let files = std::fs::read_dir(self.folder.join("data/base").join(id.trim())).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://portcullis@{folder}/{database}?sslmode=disable")
    }

    /// Runs SQL by `psql`. Returns what it printed.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "portcullis", "-d", database, "-c", sql, "-h"])
            .arg(&self.folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A transaction of somebody else, open until this is dropped.
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
        let mut psql = Command::new(self.programs.join("psql"))
            .args(["-qAtX", "-U", "portcullis", "-d", database, "-h"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = psql.stdin.as_mut().unwrap();
        writeln!(input, "BEGIN; CREATE TABLE somebody_else (id int); SELECT 'open';").unwrap();
        let mut line = String::new();
        BufReader::new(psql.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "open");
        Open(psql)
    }
}

/// The name of the database in a URL that [`Cluster::database`] returned.
pub(crate) fn name_of(url: &str) -> &str {
    url.split(['/', '?']).nth(3).unwrap()
}
