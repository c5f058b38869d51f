"""What we build is what every reader reads: correct, seven bits, and closed to injection."""

import email
import email.policy
import re
import timeit
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailkit.building import Attachment, Draft, build_message
from mailkit.delivery import check_raw
from mailkit.errors import InvalidAddress, InvalidArgument
from mailkit.parsing import parse_message


@dataclass(frozen=True)
class Person:
    name: str
    address: str


ERP = Person("Müller & Söhne GmbH", "info@müller.example")
ANNA = Person("Anna Beispiel", "anna@kunde.example")
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=1)))
DRAFT = Draft(
    from_=ERP, to=[ANNA], subject="Ihr Angebot", text="Guten Tag,\n\nanbei das Angebot.\n", date=NOW
)
PDF = Attachment("Angebot 4711.pdf", "application/pdf", b"%PDF-1.7\r\n\x00\xff" * 100)
LOGO = Attachment("logo.png", "image/png", b"\x89PNG" * 20, content_id="logo@firma")


def build(**changes: object) -> bytes:
    return build_message(replace(DRAFT, **changes)).raw


def structure(raw: bytes) -> object:
    """Return the nesting of content types, as the stdlib sees it."""

    def nested(part: email.message.Message) -> object:
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            return {part.get_content_subtype(): [nested(child) for child in part.get_payload()]}
        return part.get_content_type()

    return nested(email.message_from_bytes(raw))


def stdlib(raw: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def text_of(part: email.message.EmailMessage) -> str:
    return part.get_content().replace("\r\n", "\n")


ALTERNATIVE = {"alternative": ["text/plain", "text/html"]}


@pytest.mark.parametrize(
    ("html", "attachments", "expected"),
    [
        (None, [], "text/plain"),
        ("<p>Hallo</p>", [], ALTERNATIVE),
        ("<p>Hallo</p>", [LOGO], {"related": [ALTERNATIVE, "image/png"]}),
        (None, [PDF], {"mixed": ["text/plain", "application/pdf"]}),
        (
            "<p>Hallo</p>",
            [PDF, LOGO],
            {"mixed": [{"related": [ALTERNATIVE, "image/png"]}, "application/pdf"]},
        ),
        (None, [LOGO], {"mixed": ["text/plain", "image/png"]}),
    ],
)
def test_the_structure_is_as_simple_as_the_content_allows(
    html: str | None, attachments: list, expected: object
):
    assert structure(build(html=html, attachments=attachments)) == expected


def test_headers_say_what_the_draft_says():
    built = build_message(
        replace(
            DRAFT,
            to=[ANNA, Person("", "bert@kunde.example")],
            cc=[Person('Carl "C" Muster, Dr.', "carl@kunde.example")],
            reply_to=[Person("Support", "support@müller.example")],
            in_reply_to="frage@kunde.example",
            references=["erste@kunde.example", "frage@kunde.example"],
            headers={"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All", "X-Loop": "erp"},
            language="de-DE",
        )
    )
    mail = stdlib(built.raw)
    (sender,) = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (ERP.name, "info@xn--mller-kva.example")
    assert [a.addr_spec for a in mail["To"].addresses] == ["anna@kunde.example", "bert@kunde.example"]
    assert [(a.display_name, a.addr_spec) for a in mail["Cc"].addresses] == [
        ('Carl "C" Muster, Dr.', "carl@kunde.example")
    ]
    assert mail["Reply-To"].addresses[0].addr_spec == "support@xn--mller-kva.example"
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == f"<{built.message_id}>"
    assert mail["In-Reply-To"] == "<frage@kunde.example>"
    assert mail["References"].split() == ["<erste@kunde.example>", "<frage@kunde.example>"]
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"], mail["X-Loop"]) == (
        "auto-replied",
        "All",
        "erp",
    )
    assert mail["Content-Language"] == "de-DE"
    assert mail["MIME-Version"] == "1.0"


def test_message_ids_are_unique_and_under_the_wanted_domain():
    built = [build_message(replace(DRAFT, message_id_domain="erp.firma.example")) for _ in range(100)]
    assert len({b.message_id for b in built}) == 100
    assert all(re.fullmatch(r"[0-9a-f-]{36}@erp\.firma\.example", b.message_id) for b in built)
    assert build_message(DRAFT).message_id.endswith("@xn--mller-kva.example")
    assert build_message(replace(DRAFT, message_id="fest@firma.example")).message_id == "fest@firma.example"


def test_t22_bcc_has_no_place():
    assert not hasattr(DRAFT, "bcc")
    for name in ("Bcc", "bcc", "Resent-Bcc", "To", "From", "Subject", "Content-Type", "MIME-Version"):
        with pytest.raises(InvalidArgument):
            build(headers={name: "x@y.example"})


def test_without_visible_recipients_the_field_is_an_empty_group():
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in build(to=[])
    assert b"\r\nTo:" not in build(to=[], cc=[ANNA])


def test_references_keep_the_first_and_the_latest():
    raw = build(references=[f"mail{n}@kunde.example" for n in range(500)])
    kept = stdlib(raw)["References"].split()
    assert kept == ["<mail0@kunde.example>", *(f"<mail{n}@kunde.example>" for n in range(480, 500))]


def test_b72_unusable_ids_of_others_are_left_out():
    bad = ["a b@c", "x" * 5000, "ä@c", "", "<>", "a>b@c"]
    raw = build(in_reply_to="a b@c", references=[*bad, "gut@kunde.example", *bad])
    mail = stdlib(raw)
    assert (mail["In-Reply-To"], mail["References"]) == (None, "<gut@kunde.example>")


@pytest.mark.parametrize(
    "breaker", ["\r\n", "\n", "\r", "\0", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"]
)
@pytest.mark.parametrize(
    "place",
    [
        "subject",
        "from_name",
        "from_address",
        "to_name",
        "to_address",
        "in_reply_to",
        "references",
        "message_id",
        "header_value",
        "header_name",
        "filename",
        "content_type",
        "content_id",
        "language",
        "message_id_domain",
    ],
)
def test_b84_t16_nothing_ends_a_header_early(breaker: str, place: str):
    value = f"x{breaker}Bcc: opfer@fremd.example"
    changes = {
        "subject": {"subject": value},
        "from_name": {"from_": Person(value, "a@b.example")},
        "from_address": {"from_": Person("A", f"a@b.example{breaker}")},
        "to_name": {"to": [Person(value, "a@b.example")]},
        "to_address": {"to": [Person("A", f"a@b{breaker}.example")]},
        "in_reply_to": {"in_reply_to": value},
        "references": {"references": ["a@b", value]},
        "message_id": {"message_id": value},
        "header_value": {"headers": {"X-Loop": value}},
        "header_name": {"headers": {value: "x"}},
        "filename": {"attachments": [Attachment(value, "text/plain", b"")]},
        "content_type": {"attachments": [Attachment("x", value, b"")]},
        "content_id": {"html": "x", "attachments": [Attachment("x", "image/png", b"", content_id=value)]},
        "language": {"language": value},
        "message_id_domain": {"message_id_domain": value},
    }[place]
    with pytest.raises((InvalidArgument, InvalidAddress)):
        build(**changes)


def test_a_naive_date_is_refused():
    with pytest.raises(InvalidArgument):
        build(date=datetime(2026, 11, 24))  # noqa: DTZ001 - the very case


@pytest.mark.parametrize(
    "address", ["", "a", "a@", "@b", "a b@c.de", "a@b@c", "<a@b.de>", "jörg@firma.example", '"a b"@c.de']
)
def test_what_is_no_address_is_refused(address: str):
    with pytest.raises(InvalidAddress):
        build(to=[Person("A", address)])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Guten Tag", "7bit"),
        ("Grüße aus Köln", "quoted-printable"),
        ("日本語のメール" * 20, "base64"),
        ("x" * 2000, "quoted-printable"),
        ("From hier an", "quoted-printable"),
        ("tab\tist erlaubt", "7bit"),
        ("bell\x07", "quoted-printable"),
        (".\n..\nende", "quoted-printable"),
    ],
)
def test_the_encoding_is_the_most_readable_that_survives(text: str, encoding: str):
    raw = build(text=text)
    assert f"Content-Transfer-Encoding: {encoding}\r\n".encode() in raw
    assert text_of(stdlib(raw)).rstrip("\n") == text
    assert not re.search(rb"^From ", raw.partition(b"\r\n\r\n")[2], re.MULTILINE)


@pytest.mark.parametrize(
    "filename",
    [
        "Rechnung März.pdf",
        "ü" * 120 + ".pdf",
        'mit "Anführung".txt',
        "a\\b;c=d.txt",
        "x" * 250 + ".txt",
        "📎.zip",
        "%41*'.txt",
        "a/b.txt",
    ],
)
def test_b54_filenames_survive(filename: str):
    raw = build(attachments=[Attachment(filename, "application/pdf", b"x")])
    (attachment,) = stdlib(raw).iter_attachments()
    assert attachment.get_filename() == filename


@pytest.mark.parametrize(
    "declared", ["", "pdf", "multipart/mixed", "message/partial", "text/html; charset=x", "x" * 300]
)
def test_a_strange_content_type_becomes_octet_stream(declared: str):
    (part,) = stdlib(build(attachments=[Attachment("x", declared, b"x")])).iter_attachments()
    assert part.get_content_type() == "application/octet-stream"


def test_an_attached_mail_stays_a_mail_when_it_can():
    inner = build(subject="innen", text="Text\n")
    (part,) = stdlib(build(attachments=[Attachment("mail.eml", "message/rfc822", inner)])).iter_attachments()
    assert part.get_content_type() == "message/rfc822"
    assert part.get_content()["Subject"] == "innen"
    assert inner in build(attachments=[Attachment("mail.eml", "message/rfc822", inner)])
    (part,) = stdlib(
        build(attachments=[Attachment("m.eml", "message/rfc822", b"Subject: \xff\n")])
    ).iter_attachments()
    assert (part.get_content_type(), part.get_content()) == ("application/octet-stream", b"Subject: \xff\n")


def assert_fit_for_the_wire(raw: bytes) -> None:
    check_raw(raw)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    head = raw.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n"):
        # A line may be longer than 78 only where there is nothing to fold at.
        assert len(line) <= 78 or b" " not in line.strip().partition(b": ")[2], line


words = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=120)
texts = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    max_size=400,
)
domains = st.from_regex(r"[a-z]{1,10}(-[a-z]{1,5})?\.(example|de)", fullmatch=True)
addresses = st.builds(
    lambda local, domain: f"{local}@{domain}",
    st.from_regex(r"[a-z0-9]{1,20}([.+_'-][a-z0-9]{1,9})?", fullmatch=True),
    domains,
)
people = st.builds(Person, words, addresses)
attachments = st.builds(
    Attachment,
    words,
    st.sampled_from(["application/pdf", "image/png", "text/csv", "text/html"]),
    st.binary(max_size=300),
)


@settings(max_examples=200, deadline=None)
@given(
    words,
    texts,
    st.none() | texts.map(lambda t: f"<p>{t}</p>"),
    people,
    st.lists(people, max_size=4),
    st.lists(attachments, max_size=3),
)
def test_whatever_is_built_is_fit_for_the_wire_and_read_back(subject, text, html, sender, to, files):
    raw = build(subject=subject, text=text, html=html, from_=sender, to=to, attachments=files)
    assert_fit_for_the_wire(raw)
    mail = stdlib(raw)
    body = mail.get_body(("plain",))
    assert text_of(body).removesuffix("\n") == text.removesuffix("\n")
    assert [part.get_payload(decode=True) for part in mail.iter_attachments()] == [f.content for f in files]
    parsed = parse_message(raw)
    assert parsed.from_ is not None
    assert parsed.from_.address == sender.address
    assert [a.address for a in parsed.to] == [person.address for person in to]
    assert parsed.subject.split() == subject.split()
    assert [a.content for a in parsed.attachments] == [f.content for f in files]


@settings(max_examples=300, deadline=None)
@given(words)
def test_subjects_and_names_survive_exactly(text: str):
    mail = stdlib(build(subject=text, to=[Person(text, "a@b.example")]))
    assert mail["Subject"].rstrip() == text.rstrip() or decoded(mail, "Subject") == text
    assert decoded_name(build(to=[Person(text, "a@b.example")])) == text


@pytest.mark.parametrize("text", ["=?utf-8?q?Bcc?=", "a =?x", "  zwei  Leerzeichen  ", "x" * 300, "a " * 200])
def test_text_that_looks_encoded_or_will_not_fold_survives(text: str):
    raw = build(subject=text, to=[Person(text, "a@b.example")])
    assert_fit_for_the_wire(raw)
    assert decoded(stdlib(raw), "Subject") == text
    assert decoded_name(raw) == text


def decoded(mail: email.message.EmailMessage, name: str) -> str:
    """Decode by RFC 2047 alone; the stdlib's structured parser trims blanks."""
    raw = dict(mail.raw_items())[name].replace("\n", "").replace("\r", "")
    return str(email.header.make_header(email.header.decode_header(raw)))


def decoded_name(raw: bytes) -> str:
    """Return To's display name, unquoted or decoded."""
    field = (
        re.search(rb"^To: (.*?)\r\n(?! )", raw, re.DOTALL | re.MULTILINE)
        .group(1)
        .replace(b"\r\n", b"")
        .decode()
    )
    phrase = field.rpartition("<")[0].rstrip(" ") if "<" in field else ""
    if phrase.startswith('"'):
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    return str(email.header.make_header(email.header.decode_header(phrase))) if phrase else ""


def test_a_plain_mail_is_built_in_half_a_millisecond():
    seconds = min(timeit.repeat(lambda: build_message(DRAFT), number=200, repeat=5)) / 200
    assert seconds < 0.0005
