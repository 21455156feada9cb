// The ways to be evil, one by one. Included by the plugin, and by the host's tests, which must not forget one; each has a macro
// `modes` of its own.

modes! {
    /// Nothing: it is the plugin that the others are compared with.
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
    /// `check` calls itself until the stack is full.
    "recurse" => Recurse,
    /// `check` panics.
    "panic" => Panic,
    /// `check` panics from the 2,000th call on.
    "panic-later" => PanicLater,
    /// `block` panics.
    "panic-in-block" => PanicInBlock,
    /// `block` takes memory until there is no more.
    "hoard-memory" => HoardMemory,
    /// `check` takes a mebibyte each time.
    "leak" => Leak,
    /// `check-many` answers one byte too few.
    "short-bitmap" => ShortBitmap,
    /// `check-many` answers a gigabyte, as far as its memory goes.
    "huge-bitmap" => HugeBitmap,
    /// `check-many` says the opposite of `check`.
    "disagree-in-batch" => DisagreeInBatch,
    /// `block` refuses with a text of a megabyte an entry.
    "huge-refusals" => HugeRefusals,
    /// `list` begins anew with each page.
    "list-goes-backwards" => ListGoesBackwards,
    /// `list` answers more entries than were asked for.
    "list-overflows" => ListOverflows,
    /// `list` gives a cursor for ever, and no entries.
    "list-never-ends" => ListNeverEnds,
    /// `save` answers the cursor it was asked with.
    "save-never-ends" => SaveNeverEnds,
    /// `save` answers a byte, and a cursor that is new each time.
    "save-creeps" => SaveCreeps,
    /// `save` answers more bytes than were asked for.
    "huge-part" => HugePart,
    /// `load` says that the state is whole, and holds nothing.
    "load-lies" => LoadLies,
    /// `count` says one less than there are.
    "miscount" => Miscount,
    /// Every third blocked entry is forgotten, though counted.
    "forget-every-third" => ForgetEveryThird,
    /// `unblock` says it is done, and does nothing.
    "forget-unblocks" => ForgetUnblocks,
    /// Every seventh subject is blocked, whoever it is.
    "block-strangers" => BlockStrangers,
    /// `block` says that it takes no entry.
    "refuse-entries" => RefuseEntries,
}
