//! The sections of the page below the targets.

use super::measured::Measured;
use super::table::Table;
use super::{BATCHES, HOLDERS, SIZES, duration, grouped, nanos, rate};

/// Returns the sections that have results.
pub(super) fn all(measured: &Measured) -> Vec<String> {
    let sections: [fn(&Measured) -> Option<String>; 13] = [
        one_at_a_time,
        hits,
        many_at_once,
        over_tenants,
        over_threads,
        changes,
        durable,
        fleet,
        over_http,
        stores,
        forwarded,
        memory,
        instructions,
    ];
    sections.iter().filter_map(|section| section(measured)).collect()
}

/// Formats a section with a table. `None` if the table is empty.
fn section(title: &str, intro: &str, table: Table, outro: &str) -> Option<String> {
    let table = table.finish();
    if table.is_empty() {
        return None;
    }
    let outro = if outro.is_empty() { String::new() } else { format!("\n{outro}\n") };
    Some(format!("## {title}\n\n{intro}\n\n{table}{outro}"))
}

/// Creates a table with a column per size.
fn over(columns: &[u64]) -> Table {
    let columns = columns.iter().map(|&column| grouped(column as f64));
    Table::new(std::iter::once(String::new()).chain(columns))
}

/// Describes in words how a cost grows while something grows by a factor of `times`.
fn grows(of: &str, from: Option<f64>, to: Option<f64>, times: f64) -> Option<String> {
    let ratio = to? / from?;
    let slope = ratio.ln() / times.ln();
    let how = match slope {
        s if s < -0.01 => "falls",
        s if s < 0.01 => "does not grow",
        s if s < 0.06 => "hardly grows",
        s if s < 0.5 => "grows much more slowly",
        s if s < 0.9 => "grows more slowly",
        s if s < 1.1 => "grows proportionally",
        _ => "grows faster",
    };
    Some(format!("{of} {how} ({ratio:.2}×)"))
}

fn one_at_a_time(measured: &Measured) -> Option<String> {
    let mut table = over(&SIZES);
    for (holder, name) in HOLDERS {
        table.row(name, SIZES.map(|size| beside(measured, &format!("check/one/{size}"), holder, "hash-set")));
    }
    let ends = [SIZES[0], SIZES[SIZES.len() - 1]];
    let growth: Vec<String> = HOLDERS
        .iter()
        .filter_map(|(holder, name)| {
            let [first, last] = ends.map(|size| measured.of(&format!("check/one/{size}/{holder}")));
            grows(name, first, last, 1000.0)
        })
        .collect();
    section(
        "Single checks, by list size",
        "In nanoseconds, and as a multiple of the hash set.\n\n![Cost of a check by list size](check.svg)",
        table,
        &format!("While the list grows by a factor of 1,000, the cost of a check in: {}.", growth.join("; ")),
    )
}

/// Formats a cost in nanoseconds, and as a multiple of another cost.
fn beside(measured: &Measured, group: &str, one: &str, other: &str) -> Option<String> {
    let [cost, base] = [one, other].map(|name| measured.of(&format!("{group}/{name}")));
    Some(format!("{} ({:.1}×)", nanos(cost?), cost? / base?))
}

fn hits(measured: &Measured) -> Option<String> {
    let mut table = over(&SIZES);
    for (holder, name) in [HOLDERS[0], HOLDERS[2], HOLDERS[3]] {
        table.row(name, SIZES.map(|size| beside(measured, &format!("check/hit/{size}"), holder, "hash-set")));
    }
    section("Checks of blocked numbers", "In nanoseconds, and as a multiple of the hash set.", table, "")
}

fn many_at_once(measured: &Measured) -> Option<String> {
    let each = |kind: &str, size: u64, holder: &str, batch: u64| {
        Some(measured.of(&format!("check/{kind}/{size}/{holder}/{batch}"))? / batch as f64)
    };
    let cell = |kind: &str, size: u64, batch: u64| {
        let (host, native) = (each(kind, size, "host", batch)?, each(kind, size, "native", batch)?);
        Some(format!("{} ({:.2}×)", nanos(host), host / native))
    };
    let mut table = over(&SIZES);
    for batch in BATCHES {
        let name = format!("a batch of {} subjects", grouped(batch as f64));
        table.row(&name, SIZES.map(|size| cell("batch", size, batch)));
    }
    table.row(
        "a batch of 1,024 numbers, including their permutation",
        SIZES.map(|size| cell("numbers", size, 1024)),
    );
    let [least, most] = [BATCHES[0], BATCHES[BATCHES.len() - 1]];
    let growth: Vec<String> = SIZES
        .iter()
        .filter_map(|&size| {
            let of = format!("with {} numbers on the list it", grouped(size as f64));
            let [first, last] = [least, most].map(|batch| each("batch", size, "host", batch));
            grows(&of, first, last, most as f64 / least as f64)
        })
        .collect();
    let growth = format!(
        "While the batch grows from {least} to {}, the cost per number changes as follows: {}.",
        grouped(most as f64),
        growth.join("; ")
    );
    section(
        "Batches, by batch size",
        "Cost per number through the host, in nanoseconds, and as a multiple of the native set.\n\n\
         ![Cost per number by batch size](batch.svg)",
        table,
        &growth,
    )
}

/// The numbers of tenants measured.
const TENANTS: [u64; 4] = [1, 32, 1024, 4096];

fn over_tenants(measured: &Measured) -> Option<String> {
    let of = |tenants: u64| measured.of(&format!("check/tenants/host/{tenants}"));
    let mut table = over(&TENANTS);
    let base = of(1);
    table.row(
        "a check",
        TENANTS.map(|tenants| Some(format!("{} ({:.2}×)", nanos(of(tenants)?), of(tenants)? / base?))),
    );
    let growth = grows("the cost of a check", base, of(4096), 4096.0).unwrap_or_default();
    section(
        "Single checks, by number of tenants",
        "Each tenant has 1,000 numbers in its own instance. They are checked in turn, so that the next list is not in any \
         cache. In nanoseconds, and as a multiple of a single tenant.",
        table,
        &format!(
            "While the number of tenants grows from 1 to 4,096, {growth}. The reason is cache misses: tenants are not searched."
        ),
    )
}

fn over_threads(measured: &Measured) -> Option<String> {
    let of = |threads: &str| measured.of(&format!("threads/{threads}"));
    let mut table = Table::new(["", "one thread", "two threads"]);
    table.row(
        "checks per second",
        [
            of("one").map(rate),
            of("two").zip(of("one")).map(|(two, one)| format!("{} ({:.2}×)", rate(two), two / one)),
        ],
    );
    section(
        "A busy list, by number of threads",
        "64,000 numbers in two replicas. Each thread checks as fast as it can.",
        table,
        "A thread uses whichever replica is idle, so throughput grows with the number of threads, up to the number of replicas and CPUs.",
    )
}

fn changes(measured: &Measured) -> Option<String> {
    let mut table = over(&SIZES);
    for (pattern, name) in [
        ("block-and-unblock/{}/host", "block and unblock, through the host"),
        ("block-and-unblock/{}/native", "the same, natively"),
        ("block-and-unblock/{}/hash-set", "the same, in a hash set"),
        ("page/{}/host", "a page of 100, through the host"),
        ("page/{}/native", "the same, natively"),
        ("list/{}/build/native", "build the set from unsorted values"),
        ("list/{}/fill/host", "fill a plugin, through the host"),
        ("list/{}/save/native", "save"),
        ("list/{}/load/native", "load"),
    ] {
        let of = |size: u64| measured.of(&pattern.replace("{}", &size.to_string()));
        table.row(name, SIZES.map(|size| of(size).map(duration)));
    }
    let of = |size: u64| measured.of(&format!("block-and-unblock/{size}/host"));
    let growth = grows("the cost of a change", of(SIZES[0]), of(SIZES[3]), 1000.0).unwrap_or_default();
    section(
        "Changes and whole lists, by list size",
        "Each block is followed by an unblock, so that the list keeps its size: two calls.",
        table,
        &format!("While the list grows by a factor of 1,000, {growth}."),
    )
}

fn durable(measured: &Measured) -> Option<String> {
    let flush = measured.of("durable/flush");
    let mut table = Table::new(["", "time per operation", "relative to a flush"]);
    let mut row = |name, time: Option<f64>| {
        let times = time.zip(flush).map(|(time, flush)| format!("{:.3}×", time / flush));
        table.row(name, [time.map(duration), times]);
    };
    let each = |rate: &str| measured.of(rate).map(|rate| 1e9 / rate);
    row("a flush of the disk, after writing 4 KiB", flush);
    row("a block, one client", measured.of("durable/one-client"));
    row("a block, 64 concurrent clients", measured.of("durable/64-clients"));
    row("a number of a million imported from a file, over HTTP", each("import/numbers"));
    row("inserting such a row with plain SQLite, in order, without an audit trail", each("import/sqlite"));
    section("Durable writes", "A write is acknowledged when it is on disk.", table, "")
}

fn fleet(measured: &Measured) -> Option<String> {
    let mut table = Table::new(["", "writes", "p50", "p99", "p99.9"]);
    let delays = [
        ("a block at one gateway, until another one blocks", "fleet/seen"),
        ("the same beside an import of a million at the third", "fleet/seen-beside-import"),
    ];
    for (what, name) in delays {
        let of = |suffix: &str| measured.of(&format!("{name}/{suffix}"));
        let writes = of("writes").map(grouped);
        table
            .row(what, [writes, of("p50").map(duration), of("p99").map(duration), of("p99.9").map(duration)]);
    }
    section(
        "Gateways that share a ledger in PostgreSQL",
        "Three gateways and the server, with its own settings, on the same two cores. Counted from the acknowledgement on, and seen over HTTP.",
        table,
        "",
    )
}

fn over_http(measured: &Measured) -> Option<String> {
    let mut table = Table::new([
        "",
        "requests per second",
        "server CPU time per request",
        "p50",
        "p99",
        "numbers per second",
    ]);
    for (size, label) in [(64_000, "64,000"), (1_000_000, "1,000,000")] {
        for (server, name) in [
            ("portcullis", "Portcullis"),
            ("constant", "axum, a constant"),
            ("hash-set", "axum, a hash set"),
            ("constant-get", "axum, a constant, GET"),
            ("hash-set-get", "axum, a hash set, GET"),
            ("nginx-map", "nginx, map file, GET"),
            ("haproxy-map", "HAProxy, map_str, GET"),
            ("portcullis-batch", "Portcullis, 100 numbers per request"),
        ] {
            let of = |what: &str| measured.of(&format!("http/{size}/{server}/{what}"));
            let cells = [
                of("requests").map(rate),
                of("cpu").map(duration),
                of("p50").map(duration),
                of("p99").map(duration),
                of("numbers").map(rate),
            ];
            table.row(&format!("{name}, {label}"), cells);
        }
    }
    section(
        "Over HTTP",
        "Measured by `benches/peers/check.sh`: one CPU for the server, and one for 64 connections that send requests as fast as they are answered. \
         Portcullis and axum get requests of the native API: a POST with a token and JSON. nginx and HAProxy get the number in the query, \
         without a token.",
        table,
        "",
    )
}

fn stores(measured: &Measured) -> Option<String> {
    let mut table = Table::new(["", "64,000", "1,000,000"]);
    for (name, label) in [
        ("redis/{}/sismember-unix", "Redis, SISMEMBER, Unix socket"),
        ("redis/{}/sismember-tcp", "Redis, SISMEMBER, TCP"),
        ("redis/{}/sismember-pipelined-unix", "Redis, SISMEMBER, pipelines of 100, Unix socket"),
        ("redis/{}/smismember-unix", "Redis, SMISMEMBER of 100, Unix socket"),
        ("redis/{}/smismember-tcp", "Redis, SMISMEMBER of 100, TCP"),
        ("postgres/{}/prepared", "PostgreSQL, prepared lookup"),
        ("postgres/{}/any", "PostgreSQL, `= ANY` of 100"),
        ("http/{}/portcullis-batch", "Portcullis over HTTP, 100 per request, 64 connections"),
    ] {
        let cell = |size: u64| {
            let cost = measured.of(&name.replace("{}", &size.to_string()))?;
            let host = measured.of(&format!("check/one/{size}/host"))?;
            Some(format!("{} ({:.1}×)", duration(cost), cost / host))
        };
        table.row(label, [cell(64_000), cell(1_000_000)]);
    }
    section(
        "Alternative stores",
        "Cost per number for one client with one connection, which shares a CPU with the server, and as a multiple of a check through the host.",
        table,
        "",
    )
}

fn forwarded(measured: &Measured) -> Option<String> {
    let head = [
        "",
        "messages per second",
        "server CPU time per message",
        "p50",
        "p99",
        "p50 at 5,000 per second",
        "p99 at 5,000 per second",
    ];
    let mut table = Table::new(head);
    for (server, name) in [
        ("portcullis", "Portcullis, each message checked"),
        ("nginx", "nginx, as a plain proxy"),
        ("haproxy", "HAProxy, as a plain proxy"),
        ("portcullis-webhook", "Portcullis, webhooks to a tenant"),
    ] {
        let of = |what: &str| measured.of(&format!("forward/{server}/{what}"));
        let mut cells = vec![of("requests").map(rate)];
        cells.extend(["cpu", "p50", "p99", "p50-at-5000", "p99-at-5000"].map(|what| of(what).map(duration)));
        table.row(name, cells);
    }
    section(
        "Forwarding messages",
        "Measured by `benches/peers/forward.sh`, with the same upstream, which shares a CPU with the client.",
        table,
        "",
    )
}

fn memory(measured: &Measured) -> Option<String> {
    let sizes = [1_000_000_u64, 10_000_000, 100_000_000];
    let mut table = over(&sizes);
    for (name, label) in [
        ("memory/{}/filled", "filled by the host from the ledger"),
        ("memory/{}/random", "grown by single writes in random order"),
        ("memory/{}/loaded", "loaded from a saved state"),
        ("saved/{}", "the saved state itself"),
    ] {
        let of = |size: u64| measured.of(&name.replace("{}", &size.to_string()));
        table.row(label, sizes.map(|size| of(size).map(|bytes| format!("{bytes:.3}"))));
    }
    let empty =
        measured.of("memory/empty").map(|bytes| format!("An empty list takes {} bytes.", grouped(bytes)));
    section(
        "Memory",
        "The plugin's whole linear memory in bytes per number, by how the list was created.",
        table,
        &empty.unwrap_or_default(),
    )
}

fn instructions(measured: &Measured) -> Option<String> {
    let head =
        ["per number", "instructions", "reads that miss the first cache", "reads that miss a cache of 2 MiB"];
    let mut table = Table::new(head);
    for (name, label) in [
        ("native/hit", "natively, blocked, 64,000"),
        ("native/miss", "natively, not blocked, 64,000"),
        ("native/miss_of_many", "natively, not blocked, 10,000,000"),
        ("native/batch", "natively, in a batch of 1,024"),
        ("host/hit", "through the host, blocked"),
        ("host/miss", "through the host, not blocked"),
        ("host/batch", "through the host, in a batch of 1,024"),
        ("edge/parse", "parsing a number"),
        ("edge/permute", "permuting a number to its subject"),
    ] {
        let of = |what: &str| measured.of(&format!("{what}/{name}"));
        let misses = |what: &str| of(what).map(|misses| format!("{misses:.2}"));
        table.row(label, [of("instructions").map(nanos), misses("first"), misses("misses")]);
    }
    section(
        "Instructions and cache misses",
        "Counted under valgrind with its cache model, in which the last cache has the size of a core's own. The counts don't depend on \
         the load of the machine. Under valgrind each call through the host takes so long that it is measured by the clock of the processor, as \
         those of a slow plugin are. That costs some 300 instructions, which a check that takes less than 20 µs does not spend.",
        table,
        "",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_described_in_words() {
        let described = |to: f64| grows("it", Some(10.0), Some(to), 1000.0);
        assert_eq!(described(10.0).as_deref(), Some("it does not grow (1.00×)"));
        assert_eq!(described(14.0).as_deref(), Some("it hardly grows (1.40×)"));
        assert_eq!(described(20.0).as_deref(), Some("it grows much more slowly (2.00×)"));
        assert_eq!(described(10_000.0).as_deref(), Some("it grows proportionally (1000.00×)"));
        assert_eq!(described(1.0).as_deref(), Some("it falls (0.10×)"));
        assert_eq!(grows("it", None, Some(1.0), 10.0), None);
    }
}
