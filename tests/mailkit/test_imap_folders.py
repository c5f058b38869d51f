"""Folder names: modified UTF-7, special uses, and names that no honest server has."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit.errors import InvalidArgument
from mailkit.imap_folders import decode_folder_name, encode_folder_name
from tests.mailkit.imap_sessions import open_dovecot, open_stub
from tests.servers import Dovecot, MailUser
from tests.stubs.scripted import ScriptedServer, imap_script

honest_names = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=60
)  # fmt: skip


@given(honest_names)
def test_names_survive_the_round_trip(name: str):
    assert decode_folder_name(encode_folder_name(name).encode("ascii")) == name


def test_folders_with_umlauts_ampersands_and_quotes_can_be_used(dovecot: Dovecot, mailbox: MailUser):
    names = ["Entwürfe & Co", 'mit "Anführung"', "日本語", "Projekte"]
    with dovecot.rival(mailbox) as rival:
        for name in names:
            rival.create('"' + encode_folder_name(name).replace('"', '\\"') + '"')
    with open_dovecot(dovecot, mailbox) as session:
        found = {folder.name: folder for folder in session.list_folders()}
        assert set(names) <= set(found)
        for name in names:
            assert session.examine(name).messages == 0


def test_special_uses_come_from_the_server(dovecot: Dovecot, mailbox: MailUser):
    with open_dovecot(dovecot, mailbox) as session:
        uses = {folder.name: folder.special_use for folder in session.list_folders()}
    assert uses == {"Sent": "sent", "Drafts": "drafts", "Trash": "trash", "Junk": "junk", "INBOX": None}


LISTED = (
    b'* LIST (\\HasNoChildren) "." INBOX\r\n'
    b'* LIST (\\HasNoChildren) "." "INBOX.Gesendete Elemente"\r\n'
    b'* LIST (\\Noselect) "." "INBOX.Papierkorb"\r\n'
    b'* LIST (\\HasNoChildren) NIL "2026"\r\n'
)


def test_r15_without_special_use_the_usual_german_names_are_recognised():
    with (
        ScriptedServer(imap_script({b"LIST": LISTED + b"{tag} OK done\r\n"})) as server,
        open_stub(server) as session,
    ):
        folders = session.list_folders()
    assert [(f.name, f.special_use, f.is_selectable, f.delimiter) for f in folders] == [
        ("INBOX", None, True, "."),
        ("INBOX.Gesendete Elemente", "sent", True, "."),
        ("INBOX.Papierkorb", None, False, "."),
        ("2026", None, True, None),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"&AA0ACg-X1 EXPUNGE", id="crlf-in-utf-7"),
        pytest.param(b"&AAA-", id="nul"),
        pytest.param(b"&ICg-", id="line-separator"),
        pytest.param(b"&", id="shift-without-end"),
        pytest.param(b"&AGE-", id="ascii-in-base64"),
        pytest.param(b"&2AA-", id="lone-surrogate"),
        pytest.param(b"&!!!-", id="no-base64"),
        pytest.param(b"Entw\xfcrfe", id="eight-bits"),
        pytest.param(b"a\x01b", id="control"),
        pytest.param(b"", id="empty"),
        pytest.param(b"x" * 5000, id="endless"),
    ],
)
def test_b88_hostile_names_are_refused(raw: bytes):
    with pytest.raises(InvalidArgument):
        decode_folder_name(raw)


def test_b88_a_hostile_name_hides_no_other_and_is_logged(caplog: pytest.LogCaptureFixture):
    listed = (
        b'* LIST () "/" "&AA0ACg-X1 EXPUNGE"\r\n* LIST () "/" {7}\r\na\r\nb c\x01\r\n* LIST () "/" Archiv\r\n'
    )
    with (
        ScriptedServer(imap_script({b"LIST": listed + b"{tag} OK done\r\n"})) as server,
        open_stub(server) as session,
        caplog.at_level(logging.WARNING, "mailkit"),
    ):
        assert [folder.name for folder in session.list_folders()] == ["Archiv"]
    assert len(caplog.records) == 2
