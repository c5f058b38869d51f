"""Deleting exactly what is ours to delete, and copies to the Sent folder."""

import contextlib
from datetime import UTC, datetime

import pytest

from mailkit.errors import InvalidArgument, MailboxUnavailable, UidValidityChanged
from tests.mailkit.imap_sessions import open_dovecot, open_stub
from tests.servers import Certificate, CuttingProxy, Dovecot, MailUser
from tests.stubs.scripted import ScriptedServer, imap_script

MAIL = b"Subject: x\r\n\r\ny\r\n"
DELETED = frozenset({"\\Deleted"})


@pytest.fixture
def bare_mailbox(bare_dovecot: Dovecot) -> MailUser:
    return bare_dovecot.new_user()


def delete(session, *uids: int) -> None:
    status = session.select("INBOX")
    session.delete(list(uids), expected_uid_validity=status.uid_validity)


def test_r15_r16_uid_expunge_spares_what_others_flagged(dovecot: Dovecot, mailbox: MailUser):
    dovecot.deliver(mailbox, MAIL, MAIL, MAIL, MAIL)
    with dovecot.rival(mailbox) as rival:
        rival.uid("STORE", "2", "+FLAGS.SILENT", "(\\Deleted)")
    with open_dovecot(dovecot, mailbox) as session:
        delete(session, 1, 4)
        session.unselect()
    assert dovecot.flags(mailbox) == {2: DELETED, 3: frozenset()}


def test_r15_without_uidplus_a_folder_without_foreign_deletions_is_expunged(
    bare_dovecot: Dovecot, bare_mailbox: MailUser
):
    bare_dovecot.deliver(bare_mailbox, MAIL, MAIL, MAIL)
    with open_dovecot(bare_dovecot, bare_mailbox) as session:
        assert "UIDPLUS" not in session.capabilities()
        delete(session, 1, 3)
        session.unselect()
    assert bare_dovecot.flags(bare_mailbox) == {2: frozenset()}


def test_r15_without_uidplus_foreign_deletions_forbid_expunge(bare_dovecot: Dovecot, bare_mailbox: MailUser):
    bare_dovecot.deliver(bare_mailbox, MAIL, MAIL, MAIL)
    with bare_dovecot.rival(bare_mailbox) as rival:
        rival.uid("STORE", "2", "+FLAGS.SILENT", "(\\Deleted)")
    with open_dovecot(bare_dovecot, bare_mailbox) as session, pytest.raises(MailboxUnavailable) as caught:
        delete(session, 1)
    assert caught.value.code == "no-uidplus-foreign-deleted"
    assert bare_dovecot.flags(bare_mailbox) == {1: frozenset(), 2: DELETED, 3: frozenset()}


def test_r15_a_deletion_by_others_in_the_last_moment_takes_our_flags_back():
    searches = iter([b"* SEARCH\r\n", b"* SEARCH 1 9\r\n"])
    answers = {
        b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n",
        b"UID SEARCH": lambda _dialogue, _line: next(searches) + b"{tag} OK done\r\n",
    }
    with ScriptedServer(imap_script(answers)) as server:
        with open_stub(server) as session, pytest.raises(MailboxUnavailable):
            delete(session, 1)
        commands = server.received
    assert b"UID STORE 1 +FLAGS.SILENT (\\Deleted)\r\n" in commands
    assert b"UID STORE 1 -FLAGS.SILENT (\\Deleted)\r\n" in commands
    assert b"EXPUNGE" not in commands


def test_r14_another_uid_validity_deletes_nothing(dovecot: Dovecot, mailbox: MailUser):
    dovecot.deliver(mailbox, MAIL, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        imported_under = session.examine("INBOX").uid_validity
    dovecot.reset_uid_validity(mailbox)
    with open_dovecot(dovecot, mailbox) as session:
        assert session.select("INBOX").uid_validity != imported_under
        with pytest.raises(UidValidityChanged):
            session.delete([1, 2], expected_uid_validity=imported_under)
    assert dovecot.flags(mailbox) == {1: frozenset(), 2: frozenset()}


def test_r14_a_uid_validity_that_changes_after_the_flagging_expunges_nothing():
    answers = {b"UID STORE": b"* OK [UIDVALIDITY 8] renumbered\r\n{tag} OK done\r\n"}
    with ScriptedServer(imap_script(answers)) as server:
        with open_stub(server) as session, pytest.raises(UidValidityChanged):
            delete(session, 1)
        assert b"EXPUNGE" not in server.received


@pytest.mark.parametrize("capability", [b"IMAP4rev1", b"IMAP4rev1 UNSELECT"])
@pytest.mark.parametrize("opening", ["select", "examine"])
def test_r15_leaving_a_folder_never_sends_close(capability: bytes, opening: str):
    answers = {b"CAPABILITY": b"* CAPABILITY %s\r\n{tag} OK done\r\n" % capability}
    with ScriptedServer(imap_script(answers)) as server:
        with open_stub(server) as session:
            getattr(session, opening)("INBOX")
            session.unselect()
            session.unselect()
        assert b"CLOSE" not in server.received
        assert (b"UNSELECT" in server.received) == (b"UNSELECT" in capability)
        assert server.received.count(b"EXAMINE") == (
            1 if opening == "examine" or b"UNSELECT" not in capability else 0
        )


def test_r15_without_unselect_foreign_deletions_survive_the_whole_session(
    bare_dovecot: Dovecot, bare_mailbox: MailUser
):
    bare_dovecot.deliver(bare_mailbox, MAIL, flags="(\\Deleted)")
    with open_dovecot(bare_dovecot, bare_mailbox) as session:
        session.examine("INBOX")
        session.unselect()
        session.select("INBOX")
        session.unselect()
    assert bare_dovecot.flags(bare_mailbox) == {1: DELETED}


def test_r18_a_read_only_folder_cannot_be_opened_for_deleting(server_certificate: Certificate):
    with Dovecot(server_certificate, acl=True) as server:
        user = server.new_user()
        server.deliver(user, MAIL, folder="Sent")
        server.make_read_only(user, "Sent")
        with open_dovecot(server, user) as session:
            assert session.examine("Sent").messages == 1
            with pytest.raises(MailboxUnavailable) as caught:
                session.select("Sent")
            assert caught.value.code == "read-only"
            with pytest.raises(MailboxUnavailable) as caught:
                session.append("Sent", MAIL)
            assert caught.value.code == "read-only"
            assert session.status("Sent").messages == 1


def test_r18_a_full_mailbox_and_a_missing_folder_refuse_a_copy_and_the_session_goes_on(
    server_certificate: Certificate,
):
    with Dovecot(server_certificate, quota="*:storage=20K") as server:
        user = server.new_user()
        with open_dovecot(server, user) as session:
            with pytest.raises(MailboxUnavailable) as caught:
                session.append("Sent", MAIL + b"x" * 40_000 + b"\r\n")
            assert caught.value.code == "over-quota"
            with pytest.raises(MailboxUnavailable) as caught:
                session.append("Gesendete Elemente", MAIL)
            assert caught.value.code == "no-such-folder"
            assert session.append("Sent", MAIL) == 1


def test_append_keeps_bytes_flags_and_date_and_tells_the_uid(dovecot: Dovecot, mailbox: MailUser):
    sent_at = datetime(2026, 3, 1, 23, 5, tzinfo=UTC)
    raw = b"Subject: =?utf-8?q?=C3=BC?=\r\n\r\n.\r\n" + b"z" * 200_000 + b"\r\n"
    with open_dovecot(dovecot, mailbox) as session:
        uid = session.append("Sent", raw, flags=["\\Seen"], internal_date=sent_at)
        session.examine("Sent")
        (meta,) = session.fetch_metadata([uid])
        (message,) = session.fetch_raw([uid], {uid: meta.size})
    assert (message.content, meta.internal_date) == (raw, sent_at)
    assert dovecot.flags(mailbox, "Sent") == {uid: frozenset({"\\Seen"})}


def test_append_without_uidplus_tells_no_uid(bare_dovecot: Dovecot, bare_mailbox: MailUser):
    # Dovecot tells it all the same; a server that does not is scripted.
    answers = {b"APPEND": append_without_uid}
    with ScriptedServer(imap_script(answers)) as server, open_stub(server) as session:
        assert session.append("Sent", MAIL) is None


def append_without_uid(dialogue, line):
    dialogue.send(b"+ go on\r\n")
    dialogue.read(len(MAIL) + 2)
    return b"{tag} OK done\r\n"


def test_deleting_needs_a_select(dovecot: Dovecot, mailbox: MailUser):
    dovecot.deliver(mailbox, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        with pytest.raises(InvalidArgument):
            session.delete([1], expected_uid_validity=1)
        validity = session.examine("INBOX").uid_validity
        with pytest.raises(InvalidArgument):
            session.delete([1], expected_uid_validity=validity)
    assert dovecot.flags(mailbox) == {1: frozenset()}


def test_i3_many_uids_go_in_ranges_and_only_they(
    dovecot: Dovecot, mailbox: MailUser, imap_proxy: CuttingProxy
):
    dovecot.deliver(mailbox, *[MAIL] * 30)
    ours = [uid for uid in range(1, 31) if uid % 7]
    with open_dovecot(dovecot, mailbox, port=imap_proxy.port) as session:
        delete(session, *ours)
    assert b"UID EXPUNGE 1:6,8:13,15:20,22:27,29:30\r\n" in imap_proxy.from_client[0]
    assert sorted(dovecot.flags(mailbox)) == [7, 14, 21, 28]


@pytest.mark.parametrize("uid", [0, -1, 2**32])
def test_b90_an_impossible_uid_reaches_no_command(dovecot: Dovecot, mailbox: MailUser, uid: int):
    dovecot.deliver(mailbox, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        validity = session.select("INBOX").uid_validity
        with contextlib.suppress(InvalidArgument):
            session.delete([uid], expected_uid_validity=validity)
            pytest.fail("accepted")
    assert dovecot.flags(mailbox) == {1: frozenset()}
