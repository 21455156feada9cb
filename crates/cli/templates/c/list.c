// Blocks the people that it is told to block: one array of entries, in ascending order of subject.
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

// The generated names are long.
#define CONTRACT(name) exports_portcullis_blacklist_blacklist_##name
#define INBOUND EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_DIRECTIONS_INBOUND
#define OUTBOUND EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_DIRECTIONS_OUTBOUND

typedef struct {
    uint64_t subject;
    uint8_t directions;
} item;

static item *items;
static size_t length, capacity;

// What the host looks for after a trap, and shows: the mark PORTCULLIS-PANIC, a length in bytes, and a message.
static volatile struct {
    char mark[16];
    uint32_t length;
    char message[256];
} note = {{'P', 'O', 'R', 'T', 'C', 'U', 'L', 'L', 'I', 'S', '-', 'P', 'A', 'N', 'I', 'C'}, 0, {0}};

// A trap, for what can't happen or can't be mended: the host puts another instance in place.
static _Noreturn void panic(const char *message) {
    while (note.length < sizeof note.message && message[note.length]) {
        note.message[note.length] = message[note.length];
        note.length++;
    }
    __builtin_trap();
}

static void *allocated(void *memory) {
    if (!memory) panic("there is no memory left");
    return memory;
}

// The first position whose subject is not less.
static size_t position(uint64_t subject) {
    size_t low = 0, high = length;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (items[middle].subject < subject) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool blocks(uint64_t subject, CONTRACT(direction_t) direction) {
    size_t at = position(subject);
    uint8_t wanted = direction == EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_DIRECTION_INBOUND ? INBOUND : OUTBOUND;
    return at < length && items[at].subject == subject && (items[at].directions & wanted);
}

// Whether that changed anything.
static bool set(uint64_t subject, uint8_t add, uint8_t remove) {
    size_t at = position(subject);
    bool exists = at < length && items[at].subject == subject;
    uint8_t before = exists ? items[at].directions : 0;
    uint8_t after = (before | add) & ~remove;
    if (after == before) return false;
    if (!after) {
        memmove(items + at, items + at + 1, (--length - at) * sizeof *items);
        return true;
    }
    if (!exists) {
        if (length == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            items = allocated(realloc(items, capacity * sizeof *items));
        }
        memmove(items + at + 1, items + at, (length++ - at) * sizeof *items);
    }
    items[at] = (item){subject, after};
    return true;
}

void CONTRACT(describe)(CONTRACT(description_t) *ret) {
    memset(ret, 0, sizeof *ret);
    plugin_string_dup(&ret->name, "{{name}}");
    plugin_string_dup(&ret->version, "0.1.0");
    ret->keyspace = EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_KEYSPACE_HASHED;
}

bool CONTRACT(configure)(CONTRACT(settings_t) *settings, plugin_string_t *refusal) {
    bool none = settings->options.len == 2 && !memcmp(settings->options.ptr, "{}", 2);
    // The callee owns its arguments.
    CONTRACT(settings_free)(settings);
    if (!none) plugin_string_dup(refusal, "this plugin has no options");
    return none;
}

CONTRACT(verdict_t) CONTRACT(check)(CONTRACT(subject_t) subject, CONTRACT(direction_t) direction) {
    return blocks(subject, direction) ? EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_VERDICT_BLOCK
                                      : EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_VERDICT_ALLOW;
}

void CONTRACT(check_many)(CONTRACT(list_subject_t) *subjects, CONTRACT(direction_t) direction, plugin_list_u8_t *ret) {
    ret->len = (subjects->len + 7) / 8;
    ret->ptr = allocated(calloc(ret->len, 1));
    for (size_t i = 0; i < subjects->len; i++)
        if (blocks(subjects->ptr[i], direction)) ret->ptr[i / 8] |= 1 << (i % 8);
    CONTRACT(list_subject_free)(subjects);
}

static void change(CONTRACT(list_entry_t) *entries, CONTRACT(list_outcome_t) *ret, bool adds) {
    ret->len = entries->len;
    ret->ptr = allocated(calloc(ret->len, sizeof *ret->ptr));
    for (size_t i = 0; i < entries->len; i++) {
        uint8_t directions = entries->ptr[i].directions;
        bool changed = set(entries->ptr[i].subject, adds ? directions : 0, adds ? 0 : directions);
        ret->ptr[i].tag = changed ? EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_OUTCOME_CHANGED
                                  : EXPORTS_PORTCULLIS_BLACKLIST_BLACKLIST_OUTCOME_UNCHANGED;
    }
    CONTRACT(list_entry_free)(entries);
}

void CONTRACT(block)(CONTRACT(list_entry_t) *entries, CONTRACT(list_outcome_t) *ret) {
    change(entries, ret, true);
}

void CONTRACT(unblock)(CONTRACT(list_entry_t) *entries, CONTRACT(list_outcome_t) *ret) {
    change(entries, ret, false);
}

void CONTRACT(list)(CONTRACT(subject_t) *after, uint32_t limit, CONTRACT(page_t) *ret) {
    size_t from = after ? position(*after + 1) : 0;
    size_t count = length - from < limit ? length - from : limit;
    memset(ret, 0, sizeof *ret);
    if (!count) return;
    ret->entries.len = count;
    ret->entries.ptr = allocated(calloc(count, sizeof *ret->entries.ptr));
    for (size_t i = 0; i < count; i++) {
        ret->entries.ptr[i].subject = items[from + i].subject;
        ret->entries.ptr[i].directions = items[from + i].directions;
    }
    if (from + count < length) {
        ret->next.is_some = true;
        ret->next.val = items[from + count - 1].subject;
    }
}

uint64_t CONTRACT(count)(void) {
    return length;
}

// Never called, as `describe` names no format.
void CONTRACT(save)(uint64_t *cursor, uint32_t max_bytes, CONTRACT(part_t) *ret) {
    panic("this plugin saves nothing");
}

bool CONTRACT(load)(CONTRACT(format_t) *format, plugin_list_u8_t *part, CONTRACT(progress_t) *ret, plugin_string_t *refusal) {
    plugin_string_dup(refusal, "this plugin loads nothing");
    return false;
}

// Stands for the generated plugin_component_type.o: `portcullis plugin component` adds what that holds.
void __component_type_object_force_link_plugin(void);
void __component_type_object_force_link_plugin(void) {}
