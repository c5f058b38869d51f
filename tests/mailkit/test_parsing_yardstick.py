"""Generated business mail is read without a single error, and any bytes without a crash."""

from __future__ import annotations

import hashlib
import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailkit.autosubmitted import autoreply_suppression_reason
from mailkit.bounces import parse_bounce
from mailkit.errors import MalformedMessage
from mailkit.html_text import html_to_text
from mailkit.parsing import ParsedMessage, parse_message
from mailkit.quoting import split_quote
from mailkit.sanitize import sanitize_html
from tests.mailkit.corpus import all_names, raw_mail, strings_of

GENERATOR = Path(__file__).parents[3] / "shared" / "bench" / "make_mail.py"


@pytest.fixture(scope="module")
def make_mail() -> ModuleType:
    if not GENERATOR.exists():
        pytest.skip("the benchmark's mail generator is not beside this checkout")
    spec = importlib.util.spec_from_file_location("make_mail", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def summary(parsed: ParsedMessage) -> dict:
    return {
        "subject": parsed.subject,
        "from_name": parsed.from_.name,
        "from_addr": parsed.from_.address,
        "message_id": f"<{parsed.message_id}>",
        "in_reply_to": f"<{parsed.in_reply_to}>" if parsed.in_reply_to else None,
        "text_sha256": hashlib.sha256(parsed.text.strip().encode()).hexdigest(),
        "attachments": [
            [a.filename, a.size, hashlib.sha256(a.content).hexdigest()]
            for a in parsed.attachments
            if not a.is_inline
        ],
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_five_hundred_business_mails_without_an_error(make_mail, seed):
    wrong = []
    for mail in make_mail.mails(500, seed):
        found = summary(parse_message(mail.raw))
        if found != {key: mail.expected[key] for key in found}:
            wrong.append((mail.index, mail.kind))
    assert wrong == []


def test_maildir_copies_with_lf_line_ends_read_the_same(make_mail):
    for mail in make_mail.mails(100, 3):
        assert summary(parse_message(mail.raw.replace(b"\r\n", b"\n"))) == summary(parse_message(mail.raw))


def read_everything(raw: bytes) -> None:
    """What an importer does with a message; only MalformedMessage may come out of it."""
    try:
        parsed = parse_message(raw)
    except MalformedMessage:
        return
    for text in strings_of(parsed):
        assert "\0" not in text
        text.encode("utf-8")
    assert "\n" not in parsed.subject
    assert all(a.size == len(a.content) for a in parsed.attachments)
    list(parsed.headers.items())
    autoreply_suppression_reason(parsed)
    parse_bounce(parsed)
    split_quote(parsed.text)
    html_to_text(parsed.html)
    sanitize_html(parsed.html)


@pytest.mark.parametrize("name", all_names())
def test_corpus_is_read(name):
    read_everything(raw_mail(name))


def test_corpus_has_a_description_of_every_file():
    readme = (Path(__file__).parent.parent / "corpus" / "README.md").read_text(encoding="utf-8")
    described = {
        line.split("`")[1].removesuffix(".eml") for line in readme.splitlines() if line.startswith("| `")
    }
    assert described == set(all_names())
    assert len(described) >= 60


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=2_000))
def test_any_bytes(raw):
    read_everything(raw)


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b":",
        b";",
        b"--a",
        b"--a--",
        b'"',
        b"=?utf-8?q?",
        b"?=",
        b"Content-Type: ",
        b"multipart/mixed; boundary=a",
        b"multipart/report; boundary=a",
        b"text/html",
        b"message/rfc822",
        b"message/delivery-status",
        b"; charset=",
        b"utf-16",
        b"\xff\xfe",
        b"Content-Transfer-Encoding: base64",
        b"quoted-printable",
        b"Content-Disposition: attachment; filename*0*=",
        b"utf-8''%C3%",
        b"\0",
        b"From: ",
        b"a@b.example",
        b"<",
        b">",
        b"(",
        b")",
        b",",
        b"\\",
        b"\xc3",
        b"<img src=cid:x>",
        b"Content-ID: <x>",
        b"=3D",
        b" ",
        b"\t",
    ],
)


@settings(deadline=None, max_examples=500)
@given(st.lists(PIECES, max_size=60).map(b"".join))
def test_any_mixture_of_mail_syntax(raw):
    read_everything(raw)


def mutate(raw: bytes, rng: random.Random) -> bytes:
    data = bytearray(raw[:20_000])
    for _ in range(rng.randint(1, 8)):
        at, length = rng.randrange(len(data) + 1), rng.randint(0, 12)
        choice = rng.randrange(4)
        if choice == 0:
            data[at : at + length] = rng.randbytes(length)
        elif choice == 1:
            del data[at : at + length * 8]
        elif choice == 2:
            data[at:at] = data[: rng.randint(0, 400)]
        else:
            data[at:at] = rng.choice(
                [b"\r\n", b"\0", b'"', b"\r\n\r\n", b"--grenze-1\r\n", b"=?", b"\x80\xff"]
            )
    return bytes(data)


@pytest.mark.parametrize("name", all_names())
def test_mutations_of_the_corpus(name):
    rng = random.Random(name)
    raw = raw_mail(name)
    for _ in range(40):
        read_everything(mutate(raw, rng))
