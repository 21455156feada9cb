// Drives the npm package @great-detail/whatsapp, unchanged, against a Portcullis gateway.
//
//   node client.mjs                      block / list / unblock / error scenario
//   node client.mjs messages RECIPIENT   send one text, print one JSON line
//
// Environment: PORTCULLIS_URL (e.g. http://127.0.0.1:8080), PORTCULLIS_TOKEN, PORTCULLIS_PHONE_ID; optional
// PORTCULLIS_VERSION (default v25.0: the library's types are of v25.0), PORTCULLIS_INVALID (a number the gateway
// must refuse, default +1).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Client, experimental } from "@great-detail/whatsapp";

const LIB = JSON.parse(
  readFileSync(new URL("node_modules/@great-detail/whatsapp/package.json", import.meta.url), "utf8"),
).version;
const NAME = `@great-detail/whatsapp ${LIB}`;

function env(name, fallback) {
  const value = process.env[name] || fallback;
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(1);
  }
  return value;
}

const URL_ = env("PORTCULLIS_URL").replace(/\/+$/, "");
const TOKEN = env("PORTCULLIS_TOKEN");
const PHONE_ID = env("PORTCULLIS_PHONE_ID");
const VERSION = env("PORTCULLIS_VERSION", "v25.0");
const INVALID = env("PORTCULLIS_INVALID", "+1");
const NUMBERS = ["+16505551244", "+16505551245", "+16505551246"];
const WA_IDS = NUMBERS.map((n) => n.slice(1));

// The library's block-users client: generated from Meta's own OpenAPI document; the base URL is a parameter.
const BLOCK_USERS = "/{Version}/{Phone-Number-ID}/block_users";
const path = { Version: VERSION, "Phone-Number-ID": PHONE_ID };
const connect = (token) =>
  experimental.createClient({ baseUrl: URL_, headers: { Authorization: `Bearer ${token}` } });
const api = connect(TOKEN);

const change = (client, method, numbers) =>
  client[method](BLOCK_USERS, {
    params: { path },
    body: { messaging_product: "whatsapp", block_users: numbers.map((user) => ({ user })) },
  });
const get = (client, query) => client.GET(BLOCK_USERS, { params: { path, query } });

function ok({ data, error, response }, what) {
  assert.ok(!error && response.status === 200, `${what}: HTTP ${response.status} ${JSON.stringify(error)}`);
  assert.ok(data, `${what}: no JSON body`);
  return data;
}

// Meta's schema of paging has only cursors, no next: so follow cursors.after until a page is empty, and count that
// an empty last page is a 200 and not an error.
async function listing(client) {
  const seen = [];
  let pages = 0;
  let after;
  for (;;) {
    const page = ok(await get(client, { limit: 2, ...(after ? { after } : {}) }), `list, page ${pages + 1}`);
    assert.ok(Array.isArray(page.data), "list: data is not an array");
    if (page.data.length === 0) return { seen, pages };
    pages++;
    assert.ok(page.data.length <= 2, `limit=2 but page ${pages} has ${page.data.length} items`);
    for (const item of page.data) {
      assert.equal(item.messaging_product, "whatsapp", "list: messaging_product of an item");
      assert.equal(typeof item.wa_id, "string", "list: wa_id of an item");
      seen.push(item.wa_id);
    }
    const next = page.paging?.cursors?.after;
    assert.equal(typeof next, "string", `list: page ${pages} has no paging.cursors.after`);
    assert.notEqual(next, after, "list: the after cursor does not move");
    assert.ok(pages < 50_000, "paging does not end");
    after = next;
  }
}

const sorted = (list) => [...list].sort();

async function scenario() {
  // leftovers of an earlier run
  const leftovers = (await listing(api)).seen.filter((w) => WA_IDS.includes(w));
  if (leftovers.length) ok(await change(api, "DELETE", leftovers.map((w) => `+${w}`)), "unblock of leftovers");
  const before = (await listing(api)).seen;

  // 1. block three
  const added = ok(await change(api, "POST", NUMBERS), "block");
  assert.equal(added.messaging_product, "whatsapp", "block: messaging_product");
  assert.deepEqual(
    added.block_users.added_users.map((u) => [u.input, u.wa_id]),
    NUMBERS.map((n, i) => [n, WA_IDS[i]]),
    "block: added_users",
  );
  assert.equal(added.block_users.failed_users?.length ?? 0, 0, "block: failed_users");

  // 2. list, all pages, limit 2
  let now = await listing(api);
  assert.deepEqual(sorted(now.seen), sorted([...before, ...WA_IDS]), "list after block");
  assert.equal(now.pages, Math.ceil(now.seen.length / 2), "list: number of pages with limit 2");

  // 3. unblock one, list again
  const removed = ok(await change(api, "DELETE", [NUMBERS[1]]), "unblock");
  assert.deepEqual(
    removed.block_users.removed_users.map((u) => [u.input, u.wa_id]),
    [[NUMBERS[1], WA_IDS[1]]],
    "unblock: removed_users",
  );
  now = await listing(api);
  assert.deepEqual(sorted(now.seen), sorted([...before, WA_IDS[0], WA_IDS[2]]), "list after unblock");

  // 4. one good and one invalid number: the library does not throw; `error` is the whole parsed answer
  const mixed = await change(api, "POST", [NUMBERS[1], INVALID]);
  assert.equal(mixed.response.status, 400, "partial failure: HTTP status");
  assert.equal(mixed.data, undefined, "partial failure: data");
  assert.equal(mixed.error.error?.code, 139100, `partial failure: ${JSON.stringify(mixed.error)}`);
  assert.equal(typeof mixed.error.error.message, "string", "partial failure: error.message");
  assert.deepEqual(mixed.error.block_users.added_users.map((u) => u.wa_id), [WA_IDS[1]], "partial failure: added_users");
  assert.deepEqual(mixed.error.block_users.failed_users.map((u) => u.input), [INVALID], "partial failure: failed_users");
  for (const e of mixed.error.block_users.failed_users[0].errors) {
    assert.equal(typeof e.code, "number", "failed_users: errors[].code must be a number");
    assert.equal(typeof e.message, "string", "failed_users: errors[].message");
  }
  now = await listing(api);
  assert.deepEqual(sorted(now.seen), sorted([...before, ...WA_IDS]), "the good number of a partial failure is blocked");

  // 5. wrong token: code 190
  const bad = connect("wrong-xxxxxxxx");
  for (const [what, answer] of [
    ["POST", await change(bad, "POST", [NUMBERS[0]])],
    ["GET", await get(bad, { limit: 2 })],
  ]) {
    assert.equal(answer.response.status, 401, `wrong token, ${what}: HTTP status`);
    assert.equal(answer.error?.error?.code, 190, `wrong token, ${what}: ${JSON.stringify(answer.error)}`);
    assert.equal(answer.error.error.type, "OAuthException", `wrong token, ${what}: error.type`);
  }

  // clean up
  ok(await change(api, "DELETE", NUMBERS), "clean-up");
  now = await listing(api);
  assert.deepEqual(sorted(now.seen), sorted(before), "list after clean-up");
  console.log(`${NAME}: ok`);
}

// The library's message client (the one of its README). It joins baseUrl and graphVersion without a trailing slash
// and lets ky 2 resolve against that, so with graphVersion "v25.0" the version drops out of the path; "v25.0/" keeps it.
async function messages(to) {
  const versionless = process.argv[4] === "versionless";
  const sdk = new Client({
    baseUrl: URL_,
    graphVersion: versionless ? VERSION : `${VERSION}/`,
    request: { headers: { Authorization: `Bearer ${TOKEN}` }, retry: 0 },
  });
  try {
    const sent = await sdk.message
      .createMessage({ phoneNumberID: PHONE_ID, to, type: "text", text: { body: "Hello from @great-detail/whatsapp" } })
      .json();
    console.log(JSON.stringify({ sent: true, id: sent.messages[0].id }));
  } catch (e) {
    const code = e?.data?.error?.code; // ky's HTTPError: data is the parsed body (needs a JSON content type)
    if (e?.name !== "HTTPError" || code === undefined) throw e;
    console.log(JSON.stringify({ sent: false, code }));
  }
}

try {
  if (process.argv[2] === "messages") {
    assert.ok(process.argv[3], "usage: node client.mjs messages RECIPIENT");
    await messages(process.argv[3]);
  } else {
    await scenario();
  }
} catch (e) {
  console.error(`${NAME}: FAILED: ${e.message}`);
  process.exitCode = 1;
}
