"""FETCH answers in one line are read by us, all others by imapclient; nobody can tell the difference."""

from __future__ import annotations

import pytest
from imapclient.response_parser import parse_fetch_response

from mailkit.imap_fetch import read_fetch

USUAL = [
    [b'1 (UID 7 INTERNALDATE "24-Nov-2026 09:00:00 +0100" RFC822.SIZE 53000)'],
    [b'1 (UID 7 RFC822.SIZE 5 INTERNALDATE " 4-Feb-2026 23:59:59 -0330")'],
    [(b'1 (UID 7 INTERNALDATE "24-Nov-2026 09:00:00 +0000" BODY[] {5}', b"abcde"), b")"],
]
UNUSUAL = [
    [(b"1 (BODY[] {5}", b"abcde"), b" UID 7)"],
    [(b"1 (UID 7 BODY[] {5}", b"abcde"), b' INTERNALDATE "24-Nov-2026 09:00:00 +0000")'],
    [b"1 (UID 7 FLAGS (\\Seen) RFC822.SIZE 5)"],
    [b'1 (UID 7 INTERNALDATE "31-Feb-2026 09:00:00 +0100" RFC822.SIZE 5)'],
    [b'1 (UID 7 INTERNALDATE "24-Foo-2026 09:00:00 +0100" RFC822.SIZE 5)'],
    [b"1 (UID 7 INTERNALDATE NIL RFC822.SIZE 5)"],
    [b'1 (UID 7 BODY[] "")'],
]  # fmt: skip


@pytest.mark.parametrize("response", USUAL + UNUSUAL)
def test_every_form_of_answer_is_read_as_imapclient_reads_it(response):
    (expected,) = parse_fetch_response(response, normalise_times=False, uid_is_key=False).values()
    expected.pop(b"SEQ")
    found = read_fetch(response, {7})[7]
    found.pop(b"SEQ", None)
    assert found == expected


@pytest.mark.parametrize("response", USUAL)
def test_the_usual_forms_do_without_imapclient(response, monkeypatch):
    monkeypatch.setattr("mailkit.imap_fetch.parse_fetch_response", None)
    assert read_fetch(response, {7})
