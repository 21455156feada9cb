// The modes of the plugin. Included by the plugin and by the host's tests, each of which defines its own macro `modes`.
// The tests fail to compile or run if they miss one.

modes! {
    /// Nothing: for comparison with the others.
    "well-behaved" => WellBehaved,
    /// `configure` never ends.
    "spin-in-configure" => SpinInConfigure,
    /// `configure` returns 17 meters.
    "many-meters" => ManyMeters,
    /// `configure` returns a meter with a window of 32 days.
    "long-window" => LongWindow,
    /// `configure` returns a meter by a prefix of 16 digits.
    "long-prefix" => LongPrefix,
    /// `configure` returns a meter that counts nothing.
    "empty-filter" => EmptyFilter,
    /// `decide` never ends.
    "spin-in-decide" => SpinInDecide,
    /// `decide-many` never ends.
    "spin-in-decide-many" => SpinInDecideMany,
    /// `decide` computes for some 10 ms, within its limit.
    "slow-decide" => SlowDecide,
    /// `decide` panics.
    "panic" => Panic,
    /// `decide` panics at the subject 13 only.
    "panic-at-13" => PanicAt13,
    /// `decide` panics from its 8,000th call on: after it was proven.
    "panic-later" => PanicLater,
    /// `decide` recurses until the stack overflows.
    "recurse" => Recurse,
    /// `decide` leaks 1 MiB per call.
    "leak" => Leak,
    /// `decide` gives a reason that was not described.
    "unknown-reason" => UnknownReason,
    /// `decide` postpones to the time of the message itself.
    "later-at-once" => LaterAtOnce,
    /// `decide` postpones by more than 7 days.
    "later-for-long" => LaterForLong,
    /// `decide` postpones by exactly 7 days, also inbound messages.
    "later-inbound" => LaterInbound,
    /// `decide-many` returns a bitmap that is too short.
    "short-bitmap" => ShortBitmap,
    /// `decide-many` returns a bitmap of 2 MiB.
    "huge-bitmap" => HugeBitmap,
    /// `decide-many` sets bits past the last person.
    "bits-past-the-end" => BitsPastTheEnd,
    /// `decide-many` returns fewer decisions than bits.
    "missing-decisions" => MissingDecisions,
    /// `decide-many` returns more decisions than bits.
    "spare-decisions" => SpareDecisions,
    /// `decide-many` sets a bit and allows.
    "allow-with-a-bit" => AllowWithABit,
    /// `decide-many` stops the people whom `decide` allows.
    "disagree" => Disagree,
    /// `decide` stops each third message, whatever it is.
    "count-by-itself" => CountByItself,
    /// `decide` stops what it was asked about before, and allows what is new.
    "remember" => Remember,
    /// As `count-by-itself`, from its 8,000th call on: after it was proven.
    "count-later" => CountLater,
    /// `decide` and `decide-many` stop everybody of whom they are told anything that they did not declare to need.
    "nosy" => Nosy,
    /// `decide` stops everybody.
    "stop-all" => StopAll,
}
