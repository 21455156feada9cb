//! Why a target was missed, from a profile, and what was tried: said on the page where it is missed, and only there.

const BATCH: &str = "Of what is above the native set, half to two thirds are the call itself, as the component that does nothing shows in the same run: \
    eight bytes a number copied into the plugin's memory, a bit a number copied out and made a verdict. The rest is the inner loop as \
    Cranelift compiles it: fewer registers, no vectors. Tried: a loop of its own for the bitmaps (a quarter less), no jump tables \
    (a sixth less), verdicts eight at a time from a table, comparing four lower bytes first.";

const HTTP: &str = "The check is not what limits it: axum answering a constant is well behind nginx, too. By `perf`, half of a request's \
    processor time is the kernel's (one `recvfrom`, one `writev`, by `strace`), and most of the rest hyper's and tokio's; what the gateway does \
    beyond a constant (the token, JSON, the permutation, the calls of two plugins) is about an eighth. Tried: checks round the router, answers that are there as texts, \
    no thread change for a few numbers. A look at idle connections \
    now and then, in the place of a timer for each request, was taken back: it cut off answers that take long. HAProxy's target is beyond what \
    the client and the kernel reach here.";

/// By the name of the figure.
pub(super) const REASONS: &[(&str, &str)] = &[
    ("check/batch/64000/host/1024", BATCH),
    ("check/batch/1000000/host/1024", BATCH),
    (
        "memory/1000000/filled",
        "By one page of 64 KiB, or 0.1 %: 998,000 fit. The set's own pages, bitmaps and counts are 5.34 bytes a number at this size; the \
         rest is what the allocator can't use between them, and what the page with the plugin's stack has besides: Rust's allocator \
         for WebAssembly never uses that. Tried: counts of half a byte (from 5.9), one page for stack and constants, smaller steps \
         when a list is filled, page lists that are allocated once, bitmaps without room for a second container.",
    ),
    (
        "durable/64-clients/rate",
        "This disk flushes in 0.2 ms, so that one client is fast, and 64 are bound by the processor, on two cores with all clients \
         beside it. Tried: no savepoint for each job, which had SQLite copy each page it touched (from 32 µs a write to 24); writes of one \
         list are joined (to 20).",
    ),
    (
        "import/numbers",
        "By `perf`, the ledger's one writing thread is busy nearly all the time, 5 to 6 µs a number, in SQLite: looking whether there is \
         an entry (a sixth), the entry and its second index (a third), a record of who did what (a sixth), commits and the log (a sixth). All \
         threads and the client together need 8 to 9 µs a number, of two processors. Tried: eight batches of ten thousand under way, which \
         share commits, in the place of three of five thousand (from 80,000 a second); batches of one list are joined and written in the \
         order of the table (a tenth less); batches of 50,000 (nothing).",
    ),
    ("http/64000/portcullis/requests", HTTP),
    ("http/64000/portcullis/cpu", HTTP),
];
