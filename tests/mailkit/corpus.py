"""Access to the damaged mail in tests/corpus and to the generated business mail of the benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailkit.parsing import ParsedMessage, parse_message

CORPUS = Path(__file__).parent.parent / "corpus"


def raw_mail(name: str) -> bytes:
    return (CORPUS / f"{name}.eml").read_bytes()


def parsed_mail(name: str) -> ParsedMessage:
    return parse_message(raw_mail(name))


def all_names() -> list[str]:
    return sorted(path.stem for path in CORPUS.glob("*.eml"))


def message(*header_lines: str, body: str = "Guten Tag\r\n") -> ParsedMessage:
    """A message with these header fields; From, Date and Message-ID are there unless given."""
    defaults = {
        "from": "From: Anna <anna@kunde.example>",
        "date": "Date: Tue, 24 Nov 2026 10:00:00 +0100",
        "message-id": "Message-ID: <m1@kunde.example>",
    }
    given = {line.partition(":")[0].lower() for line in header_lines}
    lines = [*header_lines, *(line for name, line in defaults.items() if name not in given)]
    return parse_message(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def multipart(parts: list[str], boundary: str = "grenze", subtype: str = "mixed") -> bytes:
    """A multipart entity whose parts are given as text with LF line ends."""
    lines = "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\n"
    head = f'From: a@kunde.example\nContent-Type: multipart/{subtype}; boundary="{boundary}"\n\n'
    return (head + lines).replace("\n", "\r\n").encode()


def nested_multiparts(depth: int) -> bytes:
    opening = "".join(f"Content-Type: multipart/mixed; boundary=b{n}.\n\n--b{n}.\n" for n in range(depth))
    return b"From: a@kunde.example\n" + opening.encode() + b"Content-Type: text/plain\n\nunten\n"


def nested_messages(depth: int) -> bytes:
    return b"From: a@kunde.example\nContent-Type: message/rfc822\n\n" * depth + b"Subject: unten\n\nunten\n"


def strings_of(parsed: ParsedMessage) -> Iterator[str]:
    """Every string that an importer stores."""
    yield from (parsed.subject, parsed.text, parsed.html, parsed.message_id or "", parsed.in_reply_to or "")
    yield from parsed.references
    for address in [parsed.from_, parsed.sender, *parsed.reply_to, *parsed.to, *parsed.cc]:
        if address:
            yield from (address.name, address.address)
    for attachment in parsed.attachments:
        yield from (attachment.filename, attachment.content_type, attachment.content_id or "")
