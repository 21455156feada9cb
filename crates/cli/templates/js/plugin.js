// Blocks the people that it is told to block. A subject is below 2^50, which a Number holds exactly.
// QuickJS gets u64 as BigInt or Number, and returns it as Number: a BigInt that is returned is a fault.
const INBOUND = 1;
const OUTBOUND = 2;
const bits = (directions) => (directions.inbound ? INBOUND : 0) | (directions.outbound ? OUTBOUND : 0);
const flags = (bits) => ({ inbound: (bits & INBOUND) !== 0, outbound: (bits & OUTBOUND) !== 0 });

const entries = new Map();
// The subjects in ascending order, while no entry was added or removed.
let sorted = null;

function blocks(subject, direction) {
  return ((entries.get(Number(subject)) ?? 0) & (direction === 'inbound' ? INBOUND : OUTBOUND)) !== 0;
}

function set(subject, before, after) {
  if (before === after) return { tag: 'unchanged' };
  if (before === 0 || after === 0) sorted = null;
  if (after === 0) entries.delete(subject);
  else entries.set(subject, after);
  return { tag: 'changed' };
}

function change(given, to) {
  return given.map(({ subject, directions }) => {
    const key = Number(subject);
    const before = entries.get(key) ?? 0;
    return set(key, before, to(before, bits(directions)));
  });
}

// The first position in `sorted` whose subject is greater.
function after(subject) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > subject) high = middle;
    else low = middle + 1;
  }
  return low;
}

// Of what is thrown, the host would only know in which function. It shows the text that stands in memory after a mark, `PORTCULLIS` and
// `-PANIC` in one word. No other text in memory may contain that, this one included: hence its codes.
const note = new Uint8Array(20 + 256);
note.set([80, 79, 82, 84, 67, 85, 76, 76, 73, 83, 45, 80, 65, 78, 73, 67]);

function write(error) {
  const text = `${error} ${error?.stack ?? ''}`.replace(/\s+/g, ' ').replace(/[^ -~]/g, '?').slice(0, 256);
  note.set([text.length & 255, text.length >> 8, 0, 0], 16);
  note.set(Array.from(text, (c) => c.charCodeAt(0)), 20);
}

// The function, which has two parameters at most, with a note of what it throws. It has to return something, and at once.
function noted([name, call]) {
  const caller = (first, second) => {
    try {
      const value = call(first, second);
      if (value === undefined || value instanceof Promise) throw new TypeError(`${name} returned ${value}`);
      return value;
    } catch (error) {
      write(error);
      throw error;
    }
  };
  return [name, caller];
}

const list = {
  describe() {
    return { name: '{{name}}', version: '0.1.0', keyspace: 'hashed', saves: undefined, loads: [] };
  },
  configure({ options }) {
    // What is thrown is the message that the operator sees.
    if (Object.keys(JSON.parse(options)).length > 0) throw 'this plugin has no options';
  },
  check(subject, direction) {
    return blocks(subject, direction) ? 'block' : 'allow';
  },
  checkMany(subjects, direction) {
    const bitmap = new Uint8Array(Math.ceil(subjects.length / 8));
    subjects.forEach((subject, i) => {
      if (blocks(subject, direction)) bitmap[i >> 3] |= 1 << (i & 7);
    });
    return bitmap;
  },
  block(given) {
    return change(given, (before, more) => before | more);
  },
  unblock(given) {
    return change(given, (before, less) => before & ~less);
  },
  list(cursor, limit) {
    sorted ??= Float64Array.from(entries.keys()).sort();
    const from = cursor === undefined || cursor === null ? 0 : after(Number(cursor));
    const page = Array.from(sorted.subarray(from, from + limit));
    return {
      entries: page.map((subject) => ({ subject, directions: flags(entries.get(subject)) })),
      next: from + limit < sorted.length ? page[page.length - 1] : undefined,
    };
  },
  count() {
    return entries.size;
  },
  save() {
    throw 'this plugin saves nothing';
  },
  load() {
    throw 'this plugin loads nothing';
  },
};

// What `configure` and `load` throw is the message that the operator sees.
const { configure, load, ...others } = list;
export const blacklist = { configure, load, ...Object.fromEntries(Object.entries(others).map(noted)) };
