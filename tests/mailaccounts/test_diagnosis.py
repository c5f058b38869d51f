"""Every code that can occur is explained, in both languages."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

import mailkit
from mailaccounts.diagnosis import explain
from mailaccounts.diagnosis_texts import TEXTS

# Codes of the parser that only ever describe one mail, told by the quarantine in its own words.
_OTHER_ROOMS = {"mail_error"}


def _codes_in(path: Path) -> set[str]:
    """Constants that are given to an error as its ``code``, or are an error class's own."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
            found.add(node.value.value)
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "code":
                    found.add(getattr(line.value, "value", None))
    return {code for code in found if isinstance(code, str)}


def _all_codes() -> set[str]:
    files = [*Path(mailkit.__file__).parent.glob("*.py"), *(settings.BASE_DIR / "mailaccounts").glob("*.py")]
    codes = set().union(*map(_codes_in, files)) - _OTHER_ROOMS
    return codes - {"required"}


def test_every_code_of_mailkit_and_of_this_room_is_explained():
    assert {code for code in _all_codes() if code not in TEXTS} == set()


@pytest.mark.parametrize(
    "code",
    ["app-password-required", "imap-disabled", "too-many-connections", "oauth-required", "unavailable"],
)
def test_codes_found_by_the_words_of_a_server_are_explained(code):
    assert code in TEXTS


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("code", sorted(TEXTS))
def test_texts_are_whole_sentences_with_their_words_filled_in(code, language):
    with translation.override(language):
        told = explain(code, host="imap.ionos.de")
    for text in (told.title, told.cause, told.remedy):
        assert text
        assert "%(" not in text
    assert told.cause.endswith(".")


def test_unknown_code_is_named():
    assert "brand-new" in explain("brand-new").cause


def test_exit_statuses_of_the_mail_program_share_a_text():
    assert explain("mail-program-exit-75").title == explain("mail_program_failed").title


def test_provider_has_its_own_advice():
    assert "App-Passw" in explain("authentication_failed", host="imap.gmail.com").remedy
    assert "POP3/IMAP" in explain("authentication_failed", host="imap.gmx.net").remedy


def test_own_words_of_the_server_stay_apart():
    told = explain("authentication_failed", "NO <script>alert(1)</script>", host="h")
    assert told.reply == "NO <script>alert(1)</script>"
    assert "<script>" not in told.cause
