//! Why targets are missed, according to profiles, and what was tried. Shown on the page only for targets that are
//! missed.

const BATCH: &str = "Half to two thirds of the difference to the native set is the call itself, as the component that does nothing shows in the same run: \
    eight bytes per number are copied into the plugin's memory, and one bit per number is copied out and converted to a verdict. The rest is the inner loop as \
    Cranelift compiles it: with fewer registers, and without vector instructions. Tried: a separate loop for the bitmaps (a quarter faster), no jump tables \
    (a sixth faster), converting verdicts eight at a time with a table, comparing the four lower bytes first.";

const HTTP: &str = "The check is not the bottleneck: axum answering with a constant is also well behind nginx. According to `perf`, half of a request's \
    CPU time is spent in the kernel (one `recvfrom` and one `writev`, according to `strace`), and most of the rest in hyper and tokio. What the gateway does \
    beyond a constant (the token, JSON, the permutation, the calls of two plugins) is about an eighth. Tried: checks that bypass the router, \
    preformatted responses, no thread switch for a few numbers. Scanning for idle connections instead of one timer per request \
    was reverted, because it cut off responses that take long. HAProxy's target is beyond what \
    the client and the kernel can reach on this machine.";

const MANY_LISTS: &str = "Three gateways, the server and 64 clients share two CPUs. With many lists, each block is a commit of its own, and two other gateways \
    read it: 1.4 ms of CPU time, of which the server takes 0.8 to 0.9 and each gateway 0.16. Tried: what a commit changed goes to the plugin without being \
    read back, and what others changed is read for all lists at once (a third more); plans that are kept (a tenth of the server's time). Next would be \
    one commit for several lists.";

const ONE_LIST: &str = "A commit holds the list while it is flushed, so three gateways take turns, and those that compared in vain try again under locks. Within \
    a gateway, writes that wait are joined. Next would be to take the lock at once where others write to a list, too.";

/// The reasons, by the name of the measured value.
pub(super) const REASONS: &[(&str, &str)] = &[
    ("check/batch/64000/host/1024", BATCH),
    ("check/batch/1000000/host/1024", BATCH),
    (
        "memory/1000000/filled",
        "By one page of 64 KiB, or 0.1 %: 998,000 numbers fit. The set's own pages, bitmaps and counts take 5.34 bytes per number at this size. The \
         rest is fragmentation, and the unused part of the page with the plugin's stack, which Rust's allocator \
         for WebAssembly never uses. Tried: counts of half a byte (from 5.9), one page for both the stack and constants, smaller steps \
         when a list is filled, page lists that are allocated once, bitmaps without spare capacity for a second container.",
    ),
    (
        "durable/64-clients/rate",
        "This disk flushes in 0.2 ms, so one client is fast, and 64 clients are limited by the CPU, on two cores that they \
         share with the ledger. Tried: no savepoint per job, for which SQLite copied each page that it touched (from 32 µs to 24 µs per write); merging writes to the same \
         list (to 20 µs).",
    ),
    ("fleet/many-lists", MANY_LISTS),
    ("fleet/one-list", ONE_LIST),
    (
        "copy/import",
        "Of the server's CPU time, 23 µs per number: two thirds were the statement that stores entries, records and the commit, as it has to find entries \
         that are there (COPY of the same rows takes 5 µs), a sixth looking up the entries before, for what became of each, and the rest reading them \
         back for the plugin, which is no longer done. The gateway needs 6 µs. All share two CPUs.",
    ),
    (
        "copy/start",
        "Before that: the program starts, compiles nothing, and reads tenants and lists. Then 16 pages are read in order, each while the plugin takes the one \
         before it, and a sample of the entries is compared with the plugin. Tried: pages in the order that the planner prefers (it reads and sorts the \
         whole table for each, which took three times as long).",
    ),
    (
        "start/program-bytes",
        "The store in PostgreSQL, with its driver, took it from 39 MB to 42 MB. 4.5 MB are the names of functions, which a backtrace needs.",
    ),
    (
        "import/numbers",
        "According to `perf`, the ledger's single writer thread is busy almost all the time, with 5 to 6 µs per number in SQLite: looking up the existing \
         entry (a sixth), writing the entry and its secondary index (a third), the audit record (a sixth), commits and the log (a sixth). All \
         threads and the client together need 8 to 9 µs of CPU time per number, on two CPUs. Tried: eight concurrent batches of 10,000 that \
         share commits, instead of three of 5,000 (from 80,000 per second); merging batches of the same list and writing them in the \
         order of the table (a tenth faster); batches of 50,000 (no difference).",
    ),
    ("http/64000/portcullis/requests", HTTP),
    ("http/64000/portcullis/cpu", HTTP),
];
