"""Reading a mailbox: whole mails only, the asked ones only, and never a trace."""

from datetime import UTC, date, datetime

import pytest

from mailkit.errors import ConnectionFailed, ConnectionLost, InvalidArgument, MailboxUnavailable
from tests.mailkit.imap_sessions import open_dovecot, open_stub
from tests.servers import Cut, CuttingProxy, Dovecot, MailUser
from tests.stubs.scripted import ScriptedServer, imap_script

MAIL = b"Subject: Bestellung\r\nMessage-ID: <a@kunde.example>\r\n\r\nGuten Tag,\r\n)\r\n* 5 FETCH (UID 5)\r\n"


TWO = b"zwei\r\n"
FLAGS_OF_OTHERS = b"* 2 FETCH (FLAGS (\\Seen))\r\n* 1 FETCH (FLAGS () UID 1)\r\n"


def sizes_of(session, uids):
    return {meta.uid: meta.size for meta in session.fetch_metadata(uids)}


def test_reads_what_is_there_byte_for_byte_and_changes_no_flag(dovecot: Dovecot, mailbox: MailUser):
    mails = [MAIL, b"Subject: leer\r\n\r\n", b"Subject: umlaut\r\n\r\n\xe4\xf6\r\n" + b"x" * 70_000 + b"\r\n"]
    dovecot.deliver(mailbox, *mails)
    dovecot.deliver(mailbox, MAIL, flags="(\\Seen \\Flagged)")
    before = dovecot.flags(mailbox)
    with open_dovecot(dovecot, mailbox) as session:
        status = session.examine("INBOX")
        uids = session.uids_from(1)
        found = list(session.fetch_raw(uids, sizes_of(session, uids)))
        session.unselect()
    assert (status.messages, status.uid_next) == (4, 5)
    assert [message.content for message in found] == [*mails, MAIL]
    assert [message.size for message in found] == [len(m) for m in [*mails, MAIL]]
    assert dovecot.flags(mailbox) == before


def test_i3_reading_leaves_no_seen_even_in_a_folder_opened_for_deleting(dovecot: Dovecot, mailbox: MailUser):
    dovecot.deliver(mailbox, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        session.select("INBOX")
        assert [m.content for m in session.fetch_raw([1], {1: len(MAIL)})] == [MAIL]
    assert dovecot.flags(mailbox) == {1: frozenset()}


def test_status_and_examine_agree(dovecot: Dovecot, mailbox: MailUser):
    dovecot.deliver(mailbox, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        assert session.status("INBOX") == session.examine("INBOX")


def test_metadata_are_aware_dates_and_exact_sizes(dovecot: Dovecot, mailbox: MailUser):
    dovecot.deliver(mailbox, MAIL, internal_date='"24-Nov-2025 23:30:00 +0100"')
    with open_dovecot(dovecot, mailbox) as session:
        session.examine("INBOX")
        (meta,) = session.fetch_metadata([1])
    assert meta.internal_date == datetime(2025, 11, 24, 22, 30, tzinfo=UTC)
    assert meta.size == len(MAIL)


def test_uids_from_leaves_out_the_last_message_below_the_first_uid(dovecot: Dovecot, mailbox: MailUser):
    dovecot.deliver(mailbox, MAIL, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        session.examine("INBOX")
        assert session.uids_from(2) == [2]
        assert session.uids_from(3) == []


@pytest.mark.parametrize(
    "arrived", ["23-Nov-2025 23:59:59 -1200", "24-Nov-2025 00:00:01 +1400", "24-Nov-2025 12:00:00 +0000"]
)
def test_r20_since_never_loses_a_mail_to_the_servers_time_zone(
    dovecot: Dovecot, mailbox: MailUser, arrived: str
):
    dovecot.deliver(mailbox, MAIL, internal_date=f'"{arrived}"')
    dovecot.deliver(mailbox, MAIL, internal_date='"20-Nov-2025 12:00:00 +0000"')
    with open_dovecot(dovecot, mailbox) as session:
        session.examine("INBOX")
        assert session.uids_from(1, date(2025, 11, 24)) == [1]


def test_r20_asks_for_one_day_earlier():
    with ScriptedServer(imap_script({b"UID SEARCH": b"* SEARCH 4\r\n{tag} OK done\r\n"})) as server:
        with open_stub(server) as session:
            session.examine("INBOX")
            assert session.uids_from(1, date(2026, 3, 1)) == [4]
        assert b"UID SEARCH UID 1:* SINCE 28-Feb-2026\r\n" in server.received


def fetch_all(session):
    session.examine("INBOX")
    return list(session.fetch_raw([1, 2], {1: len(MAIL), 2: len(MAIL)}))


def test_r11_a_cut_at_any_byte_of_the_answer_yields_no_partial_mail(
    dovecot: Dovecot, mailbox: MailUser, imap_proxy: CuttingProxy
):
    dovecot.deliver(mailbox, MAIL, MAIL)
    with open_dovecot(dovecot, mailbox, port=imap_proxy.port) as session:
        whole = fetch_all(session)
    assert [m.content for m in whole] == [MAIL, MAIL]
    stream = imap_proxy.from_server[0]
    begin, end = stream.index(b"* 1 FETCH (UID 1 INTERNALDATE"), stream.index(b" OK Fetch completed")
    for length in range(end - begin):
        # The greeting differs from connection to connection, so the position is counted from the first FETCH.
        imap_proxy.cut = Cut(pattern=rb"\* 1 FETCH \(UID 1 INTERNALDATE.{%d}" % max(length - 29, 0), times=1)
        with open_dovecot(dovecot, mailbox, port=imap_proxy.port) as session, pytest.raises(ConnectionLost):
            fetch_all(session)


def test_r11_a_literal_that_ends_early_is_a_lost_connection():
    def torn(dialogue, line):
        dialogue.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(MAIL) + MAIL[:20])

    with ScriptedServer(imap_script({b"UID FETCH": torn})) as server, open_stub(server) as session:
        with pytest.raises(ConnectionLost):
            fetch_all(session)
        with pytest.raises(ConnectionLost):
            session.noop()


def fetch_answer(*parts: bytes) -> dict:
    return {b"UID FETCH": b"".join(parts) + b"{tag} OK done\r\n"}


def mail_of(uid: int, content: bytes = MAIL, *, sequence: int = 1) -> bytes:
    return b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (sequence, uid, len(content), content)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(mail_of(2, TWO), {2: TWO}, id="r17-first-vanished-no-shift-to-neighbour"),
        pytest.param(
            b"* 1 EXPUNGE\r\n* 1 EXISTS\r\n" + mail_of(2, TWO), {2: TWO}, id="r17-unsolicited-expunge"
        ),
        pytest.param(mail_of(9) + mail_of(1, TWO), {1: TWO}, id="b90-unasked-uid"),
        pytest.param(mail_of(0) + mail_of(2**32) + mail_of(1), {1: MAIL}, id="b90-impossible-uids"),
        pytest.param(mail_of(2) + mail_of(1), {1: MAIL, 2: MAIL}, id="b90-descending"),
        pytest.param(mail_of(1, TWO) + mail_of(1, b"andere\r\n"), {1: TWO}, id="b90-first-of-two-wins"),
        pytest.param(b"* 1 FETCH (BODY[] {4}\r\nfrei)\r\n", {}, id="r17-no-uid-is-nobodys-mail"),
        pytest.param(FLAGS_OF_OTHERS + mail_of(1), {1: MAIL}, id="r16-flags-of-others"),
        pytest.param(b"* 1 FETCH (BODY[] {6}\r\nzwei\r\n UID 1)\r\n", {1: TWO}, id="uid-after-the-body"),
        pytest.param(b'* 1 FETCH (UID 1 BODY[] "")\r\n', {1: b""}, id="b1-empty-as-quoted-string"),
        pytest.param(b"* 1 FETCH (UID 1 BODY[] NIL)\r\n", {}, id="nil-is-no-mail"),
    ],
)
def test_r17_b90_only_what_was_asked_for_is_believed(answer: bytes, expected: dict[int, bytes]):
    with ScriptedServer(imap_script(fetch_answer(answer))) as server, open_stub(server) as session:
        assert {m.uid: m.content for m in fetch_all(session)} == expected


def test_b90_search_answers_are_sorted_and_possible_only():
    search = {
        b"UID SEARCH": b"* SEARCH 9 0 4294967296 3 3 -1 x7 99999999999\r\n* SEARCH 12\r\n{tag} OK done\r\n"
    }
    with ScriptedServer(imap_script(search)) as server, open_stub(server) as session:
        session.examine("INBOX")
        assert session.uids_from(3) == [3, 9, 12]


@pytest.mark.parametrize("date_text", ["NIL", '"99-Foo-2026 99:99:99 +0000"', '"31-Dec-9999 23:59:59 -1400"'])
def test_b28_a_broken_internaldate_counts_as_now(date_text: str):
    answer = f"* 1 FETCH (UID 1 INTERNALDATE {date_text} RFC822.SIZE 5)\r\n".encode()
    before = datetime.now(UTC)
    with ScriptedServer(imap_script(fetch_answer(answer))) as server, open_stub(server) as session:
        session.examine("INBOX")
        (meta,) = session.fetch_metadata([1])
    assert meta.internal_date >= before


def test_a_missing_folder_has_its_own_code(dovecot: Dovecot, mailbox: MailUser):
    with open_dovecot(dovecot, mailbox) as session:
        for ask in (session.examine, session.select, session.status):
            with pytest.raises(MailboxUnavailable) as caught:
                ask("Gibt es nicht")
            assert caught.value.code == "no-such-folder"
        session.noop()


def test_b72_a_message_id_from_a_mail_never_becomes_a_command(dovecot: Dovecot, mailbox: MailUser):
    hostile = 'x"\r\nX1 STORE 1:* +FLAGS (\\Deleted)\r\nX2 EXPUNGE'
    dovecot.deliver(mailbox, MAIL)
    with open_dovecot(dovecot, mailbox) as session:
        session.examine("INBOX")
        for bad in (hostile, 'a"b@c', "a\\b@c", "a b@c", "x" * 10_240, "", "ä@c", "<>", "a\x00b"):
            with pytest.raises(InvalidArgument):
                session.find_by_message_id(bad)
        assert session.find_by_message_id("a@kunde.example") == [1]
        assert session.find_by_message_id("<a@kunde.example>") == [1]
        assert session.find_by_message_id("b@kunde.example") == []
    assert dovecot.flags(mailbox) == {1: frozenset()}


@pytest.mark.parametrize(
    "name", ["INBOX\r\nX1 EXPUNGE", "a\0b", "a\nb", "a\x7fb", "a\u2028b", "\ud800", "", "x" * 2000]
)
def test_t16_control_characters_never_reach_a_command(dovecot: Dovecot, mailbox: MailUser, name: str):
    with open_dovecot(dovecot, mailbox) as session:
        for ask in (session.examine, session.select, session.status):
            with pytest.raises(InvalidArgument):
                ask(name)
        with pytest.raises(InvalidArgument):
            session.append(name, MAIL)
        with pytest.raises(InvalidArgument):
            session.append("INBOX", MAIL, flags=["\\Seen)\r\nX1 EXPUNGE"])
        session.noop()


def test_a_lost_connection_ends_the_session(dovecot: Dovecot, mailbox: MailUser, imap_proxy: CuttingProxy):
    with open_dovecot(dovecot, mailbox, port=imap_proxy.port) as session:
        imap_proxy.cut = Cut(after=0)
        with pytest.raises(ConnectionFailed):
            session.noop()
        with pytest.raises(ConnectionLost):
            session.examine("INBOX")
