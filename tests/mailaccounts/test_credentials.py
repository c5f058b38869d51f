"""Secrets at rest: bound to their row and field, rotated without losing what changed meanwhile (W4)."""

from __future__ import annotations

import base64
import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mailaccounts import connections, credentials, services
from mailaccounts.checks import check_mail_environment
from mailaccounts.credentials import CredentialUnreadable
from mailaccounts.models import ImapSettings
from mailaccounts.rotation import rotate

OLD = "old:" + base64.b64encode(b"o" * 32).decode()
NEW = "new:" + base64.b64encode(b"n" * 32).decode()
PURPOSE = credentials.IMAP_PASSWORD


def test_w4_round_trip_and_form():
    row = uuid.uuid4()
    stored = credentials.encrypt("Gehéim ☂", purpose=PURPOSE, row_uuid=row)
    assert stored.startswith("test:")
    assert "Gehéim" not in stored
    assert credentials.decrypt(stored, purpose=PURPOSE, row_uuid=row) == "Gehéim ☂"
    assert stored != credentials.encrypt("Gehéim ☂", purpose=PURPOSE, row_uuid=row), "a nonce is used once"


def test_w4_ciphertext_of_another_row_does_not_open():
    stored = credentials.encrypt("geheim", purpose=PURPOSE, row_uuid=uuid.uuid4())
    with pytest.raises(CredentialUnreadable):
        credentials.decrypt(stored, purpose=PURPOSE, row_uuid=uuid.uuid4())


def test_w4_ciphertext_of_another_field_does_not_open():
    row = uuid.uuid4()
    stored = credentials.encrypt("geheim", purpose=PURPOSE, row_uuid=row)
    with pytest.raises(CredentialUnreadable):
        credentials.decrypt(stored, purpose=credentials.SMTP_PASSWORD, row_uuid=row)


def test_w4_swapping_rows_in_the_database_gives_nobody_a_password(make_account):
    mine, theirs = make_account(password="mein-Passwort"), make_account(password="deren-Passwort")
    ImapSettings.objects.filter(pk=mine.imap.pk).update(password_encrypted=theirs.imap.password_encrypted)
    mine.imap.refresh_from_db()
    with pytest.raises(CredentialUnreadable) as error:
        connections.imap_access(mine)
    assert "Passwort" not in repr(error.value)


@pytest.mark.parametrize(
    "stored", ["", "x", "a:b", "test:!!:??", "test:AAAA:AAAA", "test:" + "A" * 16 + ":" + "A" * 40]
)
def test_w4_anything_else_is_unreadable(stored):
    with pytest.raises(CredentialUnreadable):
        credentials.decrypt(stored, purpose=PURPOSE, row_uuid=uuid.uuid4())


def test_w4_missing_key_is_named_by_its_kid(settings):
    row = uuid.uuid4()
    settings.MAIL_KEYS = [OLD]
    stored = credentials.encrypt("geheim", purpose=PURPOSE, row_uuid=row)
    settings.MAIL_KEYS = [NEW]
    with pytest.raises(CredentialUnreadable, match="old"):
        credentials.decrypt(stored, purpose=PURPOSE, row_uuid=row)


def test_w4_password_is_in_no_repr(make_account):
    access = connections.imap_access(make_account(password="nie-im-repr-4711"))
    assert "nie-im-repr-4711" not in repr(access)


def test_w4_rotation_brings_every_secret_under_the_newest_key(settings, make_account):
    settings.MAIL_KEYS = [OLD]
    account = make_account(password="bleibt-gleich", smtp={"has_own_login": True, "username": "u"})
    services.store_smtp_password(account.smtp, "auch-gleich")
    account.smtp.save()
    settings.MAIL_KEYS = [NEW, OLD]
    out = StringIO()
    call_command("rotate_keys", stdout=out)
    assert "rotated 2" in out.getvalue()
    assert "no longer needed in MAIL_KEYS: old" in out.getvalue()
    settings.MAIL_KEYS = [NEW]
    account.imap.refresh_from_db()
    account.smtp.refresh_from_db()
    assert connections.imap_access(account).login.password == "bleibt-gleich"
    assert connections.smtp_access(account).login.password == "auch-gleich"


def test_w4_rotation_never_overwrites_a_password_saved_meanwhile(settings, make_account, monkeypatch):
    settings.MAIL_KEYS = [OLD]
    account = make_account(password="alt")
    settings.MAIL_KEYS = [NEW, OLD]
    decrypt = credentials.decrypt

    def decrypt_while_somebody_saves(*args, **kwargs):
        row = ImapSettings.objects.get(pk=account.imap.pk)
        services.store_imap_password(row, "neu")
        row.save()
        return decrypt(*args, **kwargs)

    monkeypatch.setattr(credentials, "decrypt", decrypt_while_somebody_saves)
    tally = rotate()
    monkeypatch.undo()
    settings.MAIL_KEYS = [NEW]
    account.imap.refresh_from_db()
    assert tally.changed_meanwhile == 1
    assert connections.imap_access(account).login.password == "neu"


def test_rotation_names_what_it_cannot_read(settings, make_account):
    settings.MAIL_KEYS = [OLD]
    make_account()
    settings.MAIL_KEYS = [NEW]
    with pytest.raises(CommandError, match="key old is not in MAIL_KEYS"):
        call_command("rotate_keys", stdout=StringIO())


def test_generated_key_is_usable(settings):
    out = StringIO()
    call_command("generate_key", "--kid", "k1", stdout=out)
    settings.MAIL_KEYS = [out.getvalue().strip()]
    row = uuid.uuid4()
    stored = credentials.encrypt("x", purpose=PURPOSE, row_uuid=row)
    assert stored.startswith("k1:")
    assert credentials.decrypt(stored, purpose=PURPOSE, row_uuid=row) == "x"


def test_generate_key_refuses_a_kid_that_cannot_be_stored():
    with pytest.raises(CommandError):
        call_command("generate_key", "--kid", "a:b", stdout=StringIO())


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("MAIL_KEYS", [], "mailaccounts.W002"),
        ("MAIL_KEYS", ["no-colon"], "mailaccounts.E003"),
        ("MAIL_KEYS", ["k:dG9vIHNob3J0"], "mailaccounts.E003"),
        ("MAIL_KEYS", ["k:%%%"], "mailaccounts.E003"),
        ("MAIL_KEYS", [OLD, OLD], "mailaccounts.E003"),
        ("SECRET_KEY", "short", "mailaccounts.E001"),
        ("MAIL_ALLOWED_NETWORKS", ["10.0.0.1/8"], "mailaccounts.E004"),
        ("MAIL_PLAINTEXT_NETWORKS", ["office"], "mailaccounts.E004"),
        ("MAIL_CA_FILE", "/nonexistent.pem", "mailaccounts.E005"),
    ],
)
def test_mistakes_in_the_environment_are_findings(settings, name, value, finding):
    assert check_mail_environment(None) == []
    setattr(settings, name, value)
    found = check_mail_environment(None)
    assert [message.id for message in found] == [finding]
    assert found[0].hint


def test_findings_never_show_a_key(settings):
    settings.MAIL_KEYS = ["k:" + base64.b64encode(b"geheimer-Schluessel").decode()]
    assert "Z2VoZWlt" not in str(check_mail_environment(None))
