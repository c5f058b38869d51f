"""Credentials stay out of what is stored, shown or logged (T9)."""

import base64
import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.endpoint import PasswordLogin
from mailkit.redaction import RedactingFilter, redact

SECRET = "Kanarien vogel-4711"


@pytest.mark.parametrize(
    "line",
    [
        "C: AUTH PLAIN AGFubmEAZ2VoZWlt",
        "a1 AUTHENTICATE PLAIN AGFubmEAZ2VoZWlt",
        "AUTH LOGIN AGFubmEAZ2VoZWlt",
        "auth xoauth2 AGFubmEAZ2VoZWlt",
        'A1 LOGIN anna "AGFubmEAZ2VoZWlt"',
        'A1 LOGIN "an na" AGFubmEAZ2VoZWlt',
        "Authorization: Bearer AGFubmEAZ2VoZWlt",
    ],
)
def test_t9_credential_lines_are_known_without_the_secret(line: str):
    assert "AGFubmEAZ2VoZWlt" not in redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "250-AUTH PLAIN LOGIN XOAUTH2",
        "* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN SASL-IR",
        "a1 NO LOGIN failed.",
    ],
)
def test_t9_what_a_server_offers_stays_readable(line: str):
    assert redact(line) == line


@given(
    st.binary(max_size=8),
    st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=6, max_size=30),
)
def test_t9_a_known_secret_is_found_plain_quoted_and_in_base64(before: bytes, secret: str):
    encoded = base64.b64encode(before + secret.encode()).decode()
    redacted = redact(f"x {secret} y {encoded} z", [secret])
    assert secret not in redacted.replace("[redacted]", "")
    assert encoded not in redacted


def log_of(*records: logging.LogRecord) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter([SECRET]))
    for record in records:
        handler.handle(record)
    return stream.getvalue()


def record(message: str, *arguments: object, exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord("mailkit", logging.ERROR, __file__, 1, message, arguments, exc_info)


def test_t9_the_filter_redacts_messages_arguments_and_tracebacks():
    try:
        int(SECRET)
    except ValueError as error:
        text = log_of(
            record("login with %s", SECRET),
            record("failed", exc_info=(ValueError, error, error.__traceback__)),
        )
    assert SECRET not in text
    assert "[redacted]" in text
    assert "in test_t9_the_filter_redacts_messages_arguments_and_tracebacks" in text


def test_t9_a_login_never_shows_its_password():
    login = PasswordLogin("anna", SECRET)
    assert SECRET not in f"{login!r} {login} {[login]}"
