// The modes of the plugin. Included by the plugin and by the host's tests, each of which defines its own macro `modes`.
// The tests fail to compile or run if they miss one.

modes! {
    /// Nothing: for comparison with the others.
    "well-behaved" => WellBehaved,
    /// `check` never ends.
    "spin-in-check" => SpinInCheck,
    /// `check-many` never ends.
    "spin-in-check-many" => SpinInCheckMany,
    /// `configure` never ends.
    "spin-in-configure" => SpinInConfigure,
    /// `block` never ends.
    "spin-in-block" => SpinInBlock,
    /// `unblock` never ends.
    "spin-in-unblock" => SpinInUnblock,
    /// `list` never ends.
    "spin-in-list" => SpinInList,
    /// `count` never ends.
    "spin-in-count" => SpinInCount,
    /// `save` never ends.
    "spin-in-save" => SpinInSave,
    /// `load` never ends.
    "spin-in-load" => SpinInLoad,
    /// Each call of `check` or `check-many` computes for some 10 ms, within its limit.
    "slow-check" => SlowCheck,
    /// Each entry that is blocked takes some 2 ms.
    "slow-block" => SlowBlock,
    /// Each entry that is blocked takes some 2 ms, and `check` panics from the 4,000th call on.
    "slow-to-recover" => SlowToRecover,
    /// `check` fills 256 MiB with one instruction.
    "fill-memory" => FillMemory,
    /// `check` allows everybody from the 20,000th call on.
    "lie-later" => LieLater,
    /// `check-many` allows everybody from the 20,000th check on.
    "lie-in-batches" => LieInBatches,
    /// From the 20,000th check on, `check` and `check-many` block outbound only if the check before was of the same subject.
    "lie-unless-asked-twice" => LieUnlessAskedTwice,
    /// `check` and `check-many` allow subjects that they were asked about a hundred times.
    "lie-to-regulars" => LieToRegulars,
    /// From the 20,000th check on, `check-many` blocks everybody.
    "block-strangers-in-batches" => BlockStrangersInBatches,
    /// `configure` refuses lists of more than 100 entries.
    "refuse-long-lists" => RefuseLongLists,
    /// `configure` takes 40 MiB of memory.
    "fat" => Fat,
    /// `check` recurses until the stack overflows.
    "recurse" => Recurse,
    /// `check` panics.
    "panic" => Panic,
    /// `check` panics from the 2,000th call on.
    "panic-later" => PanicLater,
    /// `block` panics.
    "panic-in-block" => PanicInBlock,
    /// `block` allocates until there is no memory left.
    "hoard-memory" => HoardMemory,
    /// `check` leaks 1 MiB per call.
    "leak" => Leak,
    /// `check` leaks 1 MiB per call from the 20,000th call on.
    "leak-later" => LeakLater,
    /// `check` leaks 1 MiB per call until there is none left, and goes on.
    "leak-until-full" => LeakUntilFull,
    /// `block` leaks 1 MiB per entry.
    "leak-in-block" => LeakInBlock,
    /// `check-many` returns one byte too few.
    "short-bitmap" => ShortBitmap,
    /// `check-many` returns 32 MiB.
    "huge-bitmap" => HugeBitmap,
    /// `check-many` returns the opposite of `check`.
    "disagree-in-batch" => DisagreeInBatch,
    /// `block` refuses each entry with more than 1 MiB of text.
    "huge-refusals" => HugeRefusals,
    /// `list` starts again with each page.
    "list-goes-backwards" => ListGoesBackwards,
    /// `list` returns more entries than requested.
    "list-overflows" => ListOverflows,
    /// `list` returns the same cursor forever, and no entries.
    "list-never-ends" => ListNeverEnds,
    /// `list` leaves out each fifth entry.
    "list-forgets" => ListForgets,
    /// `list` has an entry that nobody blocked.
    "list-invents" => ListInvents,
    /// `list` has each entry in one direction only.
    "list-halves" => ListHalves,
    /// `save` returns the cursor that it was called with.
    "save-never-ends" => SaveNeverEnds,
    /// `save` returns one byte and a new cursor, forever.
    "save-creeps" => SaveCreeps,
    /// `count` returns 2^58, and `save` returns full parts, forever.
    "save-floods" => SaveFloods,
    /// `save` returns more bytes than requested.
    "huge-part" => HugePart,
    /// `load` reports a complete state, but loads nothing.
    "load-lies" => LoadLies,
    /// `count` returns one less than the number of entries.
    "miscount" => Miscount,
    /// Every third entry is counted but not blocked.
    "forget-every-third" => ForgetEveryThird,
    /// `unblock` reports a change, but does nothing.
    "forget-unblocks" => ForgetUnblocks,
    /// Every seventh subject is blocked, with or without an entry.
    "block-strangers" => BlockStrangers,
    /// `block` refuses all entries.
    "refuse-entries" => RefuseEntries,
}
