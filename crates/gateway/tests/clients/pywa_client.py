#!/usr/bin/env python3
"""Drives PyPI `pywa`, unchanged, against a Portcullis gateway.

  pywa_client.py                      block / list / unblock / error scenario
  pywa_client.py messages RECIPIENT   send one text, print one JSON line

Environment: PORTCULLIS_URL (e.g. http://127.0.0.1:8080), PORTCULLIS_TOKEN, PORTCULLIS_PHONE_ID;
optional PORTCULLIS_INVALID (a number the gateway must refuse, default +1).
"""
import json
import os
import sys

import httpx
import pywa
from pywa import WhatsApp, errors
from pywa.types import Pagination

NUMBERS = ["+16505551234", "+16505551235", "+16505551236"]
WA_IDS = [n.lstrip("+") for n in NUMBERS]
INVALID = os.environ.get("PORTCULLIS_INVALID", "+1")


def env(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set")
    return value


def connect(token: str) -> WhatsApp:
    """pywa has no base-URL parameter. It takes the caller's own httpx.Client (`session=`, documented) and sets
    session.base_url to https://graph.facebook.com/v26.0 in the constructor; base_url is a public, writable
    property of httpx.Client, so set it again on our own object afterwards. Nothing in pywa is patched."""
    session = httpx.Client(timeout=20, trust_env=False)
    wa = WhatsApp(phone_id=env("PORTCULLIS_PHONE_ID"), token=token, session=session)
    version = session.base_url.path.strip("/")  # e.g. v26.0, chosen by pywa
    session.base_url = f"{env('PORTCULLIS_URL').rstrip('/')}/{version}"
    return wa


def check(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def listing(wa: WhatsApp) -> tuple[list[str], int]:
    """All wa_ids, page by page with limit 2; also the number of pages."""
    try:
        page = wa.get_blocked_users(pagination=Pagination(limit=2))
        seen, pages = [], 1
        while True:
            check(len(page) <= 2, f"limit=2 but page {pages} has {len(page)} items")
            seen += [u.wa_id for u in page]
            if not page.has_next:  # pywa looks only at paging.next, never at the cursors
                return seen, pages
            check(pages < 50_000, "paging does not end")
            page, pages = page.next(), pages + 1
    except KeyError as e:
        raise AssertionError(
            f"pywa could not parse the GET answer: field {e} is missing (pywa requires `input` in every item of `data`)"
        ) from e


def expect(exc: type[errors.WhatsAppError], call, what: str) -> errors.WhatsAppError:
    try:
        result = call()
    except errors.WhatsAppError as e:
        check(type(e) is exc, f"{what}: expected {exc.__name__}, got {type(e).__name__} code {e.code}")
        return e
    raise AssertionError(f"{what}: expected {exc.__name__}, but the call succeeded: {type(result).__name__}")


def scenario() -> None:
    wa = connect(env("PORTCULLIS_TOKEN"))

    # leftovers of an earlier run
    leftovers = [w for w in listing(wa)[0] if w in WA_IDS]
    if leftovers:
        wa.unblock_users(["+" + w for w in leftovers])
    before, _ = listing(wa)
    check(not set(before) & set(WA_IDS), f"own numbers still listed after unblocking: {before}")

    # 1. block three
    res = wa.block_users(NUMBERS)
    check([u.input for u in res.added_users] == NUMBERS, f"block: added_users inputs {[u.input for u in res.added_users]}")
    check([u.wa_id for u in res.added_users] == WA_IDS, f"block: added_users wa_ids {[u.wa_id for u in res.added_users]}")
    check(res.failed_users == () and res.errors is None, f"block: unexpected failures {res.failed_users} {res.errors}")

    # 2. list, all pages, limit 2
    now, pages = listing(wa)
    check(sorted(now) == sorted(before + WA_IDS), f"list after block: {now}, expected {before + WA_IDS}")
    want = -(-len(now) // 2)
    check(pages == want, f"list: {len(now)} entries with limit 2 came in {pages} pages, expected {want}")
    every = wa.get_blocked_users(pagination=Pagination(limit=2)).all()  # pywa's own iteration over paging.next
    check(sorted(u.wa_id for u in every) == sorted(now), "Result.all() differs from the pages")
    second = wa.get_blocked_users(pagination=Pagination(limit=2)).next()
    check(second.has_previous, "page 2 has no paging.previous")
    check(sorted(u.wa_id for u in second.all()) == sorted(now), "Result.all() from page 2 (uses previous) differs")

    # 3. unblock one, list again
    gone = wa.unblock_users([NUMBERS[1]])
    check([(u.input, u.wa_id) for u in gone.removed_users] == [(NUMBERS[1], WA_IDS[1])], f"unblock: {gone.removed_users}")
    now, _ = listing(wa)
    check(sorted(now) == sorted(before + [WA_IDS[0], WA_IDS[2]]), f"list after unblock: {now}")

    # 4. one good and one invalid number: HTTP 400 with both lists and error 139100. pywa raises, drops the lists
    #    from the exception's own fields, and keeps the whole answer in raw_response.
    e = expect(errors.BulkBlockingFailed, lambda: wa.block_users([NUMBERS[1], INVALID]), "block with an invalid number")
    check(e.code == 139100 and e.status_code == 400, f"partial failure: code {e.code}, HTTP {e.status_code}")
    body = e.raw_response.json()["block_users"]
    check([u["input"] for u in body.get("failed_users", [])] == [INVALID], f"failed_users: {body.get('failed_users')}")
    for err in body["failed_users"][0]["errors"]:
        check(type(err["code"]) is int and isinstance(err["message"], str), f"failed_users error entry: {err}")
    check([u["wa_id"] for u in body.get("added_users", [])] == [WA_IDS[1]], f"added_users beside a failure: {body.get('added_users')}")
    now, _ = listing(wa)
    check(sorted(now) == sorted(before + WA_IDS), f"the good number of a partial failure must be blocked: {now}")

    # 5. wrong token: code 190
    bad = connect("wrong-" + "x" * 8)
    e = expect(errors.ExpiredAccessToken, lambda: bad.block_users([NUMBERS[0]]), "wrong token")
    check(e.code == 190 and isinstance(e, errors.AuthorizationError), f"wrong token: code {e.code}")
    check(e.status_code == 401, f"wrong token: HTTP {e.status_code}")
    expect(errors.ExpiredAccessToken, lambda: bad.get_blocked_users(), "wrong token on GET")

    # clean up
    wa.unblock_users(NUMBERS)
    now, _ = listing(wa)
    check(sorted(now) == sorted(before), f"list after clean-up: {now}")
    print(f"pywa {pywa.__version__}: ok")


def messages(to: str) -> None:
    wa = connect(env("PORTCULLIS_TOKEN"))
    try:
        sent = wa.send_message(to=to, text="Hello from pywa")
        print(json.dumps({"sent": True, "id": sent.id}))
    except errors.WhatsAppError as e:
        print(json.dumps({"sent": False, "code": e.code}))


if __name__ == "__main__":
    try:
        if len(sys.argv) > 1 and sys.argv[1] == "messages":
            if len(sys.argv) != 3:
                sys.exit("usage: pywa_client.py messages RECIPIENT")
            messages(sys.argv[2])
        else:
            scenario()
    except AssertionError as e:
        sys.exit(f"pywa {pywa.__version__}: FAILED: {e}")
