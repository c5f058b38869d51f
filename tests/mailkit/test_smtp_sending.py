"""Sending: what the server said, what is certain, and never a mail twice."""

import asyncio

import pytest

from mailkit.errors import (
    DeliveryError,
    InvalidAddress,
    InvalidArgument,
    PermanentDeliveryError,
    TransientDeliveryError,
    UncertainDelivery,
)
from tests.mailkit.smtp_sessions import ANNA, BERT, CARL, RAW, open_smtp, send
from tests.servers import Cut, CuttingProxy, SmtpScript, SmtpSink
from tests.stubs.scripted import ScriptedServer, says, smtp_script


def test_many_mails_travel_over_one_connection_byte_for_byte(smtp_sink: SmtpSink):
    with open_smtp(smtp_sink) as session:
        for number in range(5):
            result = send(session, ANNA, BERT, raw=b"Subject: %d\r\n\r\n" % number + RAW)
            assert (result.reply_code, result.accepted, result.refused) == (250, [ANNA, BERT], {})
    assert smtp_sink.connections == 1
    assert [t.content for t in smtp_sink.transactions] == [b"Subject: %d\r\n\r\n" % n + RAW for n in range(5)]
    assert {(t.envelope_sender, t.recipients) for t in smtp_sink.transactions} == {
        ("erp@firma.example", (ANNA, BERT))
    }


@pytest.mark.parametrize(
    "raw", [b".\r\n", b"..\r\n.\r\n", b"a\r\n.\r\n", b"\r\n.\r\n.\r\n", b".a\r\n", b"x" * 900 + b"\r\n"]
)
def test_dots_survive(smtp_sink: SmtpSink, raw: bytes):
    with open_smtp(smtp_sink) as session:
        send(session, raw=raw)
    assert smtp_sink.transactions[0].content == raw


def test_a_large_mail_arrives_whole(smtp_sink: SmtpSink):
    raw = b"Subject: gro\xc3\x9f\r\n\r\n" + (b".zeile " * 10 + b"\r\n") * 100_000
    with open_smtp(smtp_sink) as session:
        send(session, raw=raw)
    assert smtp_sink.transactions[0].content == raw
    assert "BODY=8BITMIME" in smtp_sink.transactions[0].mail_options


def test_seven_bit_mail_declares_its_size_and_nothing_more(smtp_sink: SmtpSink):
    with open_smtp(smtp_sink) as session:
        send(session)
    assert smtp_sink.transactions[0].mail_options == (f"SIZE={len(RAW)}",)


def test_the_null_sender_is_allowed(smtp_sink: SmtpSink):
    with open_smtp(smtp_sink) as session:
        send(session, sender="")
    assert smtp_sink.transactions[0].envelope_sender == ""


def test_internationalized_addresses_use_idna_and_smtputf8_only_where_needed(smtp_sink: SmtpSink):
    with open_smtp(smtp_sink) as session:
        send(session, "info@müller.example")
        send(session, "jörg@müller.example")
    plain, utf8 = smtp_sink.transactions
    assert (plain.recipients, "SMTPUTF8" in plain.mail_options) == (("info@xn--mller-kva.example",), False)
    assert (utf8.recipients, "SMTPUTF8" in utf8.mail_options) == (("jörg@xn--mller-kva.example",), True)


def test_r27_without_smtputf8_such_an_address_is_refused_and_the_others_get_the_mail():
    with SmtpSink(smtputf8=False) as sink, open_smtp(sink) as session:
        result = send(session, "jörg@kunde.example", BERT)
    assert result.accepted == [BERT]
    assert result.refused["jörg@kunde.example"].code == 553


def test_the_dot_waits_for_before_dot_and_runs_no_coroutine_meanwhile(smtp_sink: SmtpSink):
    seen = []

    def before_dot() -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        seen.append(len(smtp_sink.transactions))

    with open_smtp(smtp_sink) as session:
        send(session, before_dot=before_dot)
        seen.append(len(smtp_sink.transactions))
    assert seen == [0, 1]


def test_r24_before_dot_comes_after_the_whole_body_is_on_the_wire(smtp_sink: SmtpSink):
    big = b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 30_000
    on_wire = []
    with CuttingProxy(smtp_sink.port) as proxy, open_smtp(proxy) as session:
        send(session, raw=big, before_dot=lambda: on_wire.append(proxy.wait_for_client(len(big))))
    assert on_wire[0] >= len(big)


def test_when_before_dot_raises_nothing_is_delivered(smtp_sink: SmtpSink):
    with open_smtp(smtp_sink) as session:
        with pytest.raises(ZeroDivisionError):
            send(session, before_dot=lambda: 1 / 0)
        assert not session.is_open
        with pytest.raises(TransientDeliveryError):
            send(session)
    with open_smtp(smtp_sink) as session:
        send(session, BERT)
    assert [t.recipients for t in smtp_sink.transactions] == [(BERT,)]


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
def test_r23_a_drop_before_the_dot_is_transient_and_the_retry_is_one_copy(smtp_sink: SmtpSink, stage: str):
    smtp_sink.script = SmtpScript(drop_at=stage, times=1)
    committed = []
    with open_smtp(smtp_sink) as session:
        with pytest.raises(TransientDeliveryError) as caught:
            send(session, before_dot=lambda: committed.append(1))
        assert (caught.value.code, caught.value.reply_code) == ("connection_lost", 0)
        assert not session.is_open
    assert committed == []
    smtp_sink.script = SmtpScript()
    with open_smtp(smtp_sink) as session:
        send(session)
    assert len(smtp_sink.transactions) == 1


@pytest.mark.parametrize("after", [1, 500, 20_000, 100_000])
def test_r23_a_cut_anywhere_in_the_body_is_never_uncertain(smtp_sink: SmtpSink, after: int):
    big = b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 200_000
    with CuttingProxy(smtp_sink.port) as proxy:
        proxy.cut = Cut(pattern=b"DATA\r\n.{%d}" % min(after, 60_000), from_server=False)
        with open_smtp(proxy) as session, pytest.raises(TransientDeliveryError):
            send(session, raw=big, before_dot=lambda: pytest.fail("the body was not on the wire"))
    assert smtp_sink.transactions == []


@pytest.mark.parametrize("kept", [True, False])
def test_r24_a_drop_between_dot_and_reply_is_uncertain(smtp_sink: SmtpSink, kept: bool):
    smtp_sink.script = SmtpScript(drop_at="DOT", keeps_dropped=kept, times=1)
    committed = []
    with open_smtp(smtp_sink) as session:
        with pytest.raises(UncertainDelivery):
            send(session, before_dot=lambda: committed.append(1))
        assert not session.is_open
    assert committed == [1]
    assert len(smtp_sink.transactions) == int(kept)


def test_r24_a_reply_cut_in_two_is_uncertain(smtp_sink: SmtpSink):
    with CuttingProxy(smtp_sink.port) as proxy:
        proxy.cut = Cut(pattern=b"250 2.0.0", from_server=True, includes_match=True)
        with open_smtp(proxy) as session, pytest.raises(UncertainDelivery):
            send(session)
    assert len(smtp_sink.transactions) == 1


@pytest.mark.parametrize(
    "reply", [b"", b"250-half a reply\r\n", b"hello\r\n", b"99\r\n", b"302 what\r\n", b"250" + b"x" * 40_000]
)
def test_r24_silence_and_nonsense_after_the_dot_are_uncertain(reply: bytes):
    with (
        ScriptedServer(smtp_script({b"DOT": says(reply)})) as server,
        open_smtp(server, dot_timeout=0.3) as session,
        pytest.raises(UncertainDelivery),
    ):
        send(session)


@pytest.mark.parametrize("cut", [False, True])
def test_r24_a_definite_reply_wins_even_when_the_server_leaves_at_once(cut: bool):
    def reply(dialogue, line):
        dialogue.send(b"250 2.0.0 queued as 4711\r\n")
        return None if cut else b""

    with ScriptedServer(smtp_script({b"DOT": reply})) as server, open_smtp(server) as session:
        assert send(session).reply_text == "2.0.0 queued as 4711"


@pytest.mark.parametrize("stage", ["mail", "data", "dot"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("451 4.7.1 Greylisted", TransientDeliveryError),
        ("452 4.3.1 Full", TransientDeliveryError),
        ("550 5.7.1 No", PermanentDeliveryError),
    ],
)
def test_r26_r27_the_reply_decides_and_the_session_goes_on(
    smtp_sink: SmtpSink, stage: str, reply: str, kind: type[DeliveryError]
):
    smtp_sink.script = SmtpScript(**{stage: reply}, times=1)
    with open_smtp(smtp_sink) as session:
        with pytest.raises(kind) as caught:
            send(session)
        assert caught.value.reply_code == int(reply[:3])
        assert reply[4:] in caught.value.detail
        assert session.is_open
        send(session, BERT)
    assert [t.recipients for t in smtp_sink.transactions] == [(BERT,)]
    assert smtp_sink.connections == 1


def test_r27_one_of_three_recipients_refused(smtp_sink: SmtpSink):
    smtp_sink.script = SmtpScript(recipients={BERT: "550 5.1.1 Unknown user"})
    with open_smtp(smtp_sink) as session:
        result = send(session, ANNA, BERT, CARL)
    assert result.accepted == [ANNA, CARL]
    assert (result.refused[BERT].code, result.refused[BERT].text) == (550, "5.1.1 Unknown user")
    assert smtp_sink.transactions[0].recipients == (ANNA, CARL)


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        (("550 5.1.1 a", "553 5.1.2 b"), PermanentDeliveryError),
        (("550 5.1.1 a", "450 4.2.1 b"), TransientDeliveryError),
    ],
)
def test_r27_all_recipients_refused(smtp_sink: SmtpSink, replies: tuple[str, str], kind: type[DeliveryError]):
    smtp_sink.script = SmtpScript(recipients=dict(zip((ANNA, BERT), replies, strict=True)))
    with open_smtp(smtp_sink) as session:
        with pytest.raises(kind) as caught:
            send(session, ANNA, BERT, before_dot=lambda: pytest.fail("nobody takes it"))
        assert {address: reply.code for address, reply in caught.value.refused.items()} == {
            ANNA: int(replies[0][:3]), BERT: int(replies[1][:3])
        }  # fmt: skip
        smtp_sink.script = SmtpScript()
        send(session, CARL)
    assert [t.recipients for t in smtp_sink.transactions] == [(CARL,)]


@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA", b"DOT"])
def test_r26_421_is_transient_and_ends_the_session(verb: bytes):
    with (
        ScriptedServer(smtp_script({verb: b"421 4.3.2 shutting down\r\n"})) as server,
        open_smtp(server) as session,
    ):
        with pytest.raises(TransientDeliveryError) as caught:
            send(session)
        assert caught.value.reply_code == 421
        assert not session.is_open


def test_a_mail_above_the_announced_size_is_not_even_begun():
    with SmtpSink(max_bytes=2_000) as sink, open_smtp(sink) as session:
        with pytest.raises(PermanentDeliveryError) as caught:
            send(session, raw=RAW + b"x" * 900 + b"\r\n" + b"x" * 900 + b"\r\n" + b"x" * 900 + b"\r\n")
        assert (caught.value.code, caught.value.reply_code) == ("message-too-big", 552)
        send(session)


def test_a_failed_transaction_is_reset_before_the_next_mail():
    with ScriptedServer(smtp_script({b"RCPT": b"550 no\r\n"})) as server:
        with open_smtp(server) as session:
            for _ in range(2):
                with pytest.raises(PermanentDeliveryError):
                    send(session)
        verbs = [line.split(b" ")[0].strip() for line in server.dialogues[0].lines]
    assert verbs == [b"EHLO", b"MAIL", b"RCPT", b"RSET", b"MAIL", b"RCPT", b"QUIT"]


@pytest.mark.parametrize(
    "raw",
    [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n.\nb\r\n", b"a\n.\r\nMAIL\r\n", b"a\r\r\n", b"a", b"", b"a\0\r\n"],
)
def test_t16_bare_line_ends_never_reach_the_wire(smtp_sink: SmtpSink, raw: bytes):
    with CuttingProxy(smtp_sink.port) as proxy, open_smtp(proxy) as session:
        with pytest.raises(InvalidArgument):
            send(session, raw=raw)
        send(session)
    assert (
        proxy.from_client[0].count(b"\n")
        == proxy.from_client[0].count(b"\r\n")
        == proxy.from_client[0].count(b"\r")
    )
    assert len(smtp_sink.transactions) == 1


HOSTILE_ADDRESSES = [
    "a@b.de>\r\nRCPT TO:<x@y.de",
    "a\0@b.de",
    "a@b.de\n",
    "a@b\u2028.de",
    "a b@c.de",
    "<a@b.de>",
    "a@b.de,c@d.de",
    "a",
    "@b.de",
    "a@",
    '"a b"@c.de',
    "-oQ/tmp@b.de",
    "a@b@c.de",
    "a" * 250 + "@b.de",
    "a@b.de SIZE=1",
]


@pytest.mark.parametrize("address", HOSTILE_ADDRESSES)
def test_t16_hostile_addresses_reach_no_command(smtp_sink: SmtpSink, address: str):
    with CuttingProxy(smtp_sink.port) as proxy, open_smtp(proxy) as session:
        for sender, recipient in ((address, ANNA), ("erp@firma.example", address)):
            with pytest.raises((InvalidArgument, InvalidAddress)):
                send(session, recipient, sender=sender)
        assert b"MAIL" not in proxy.from_client[0]
        send(session)


def test_no_recipient_is_an_error_of_ours(smtp_sink: SmtpSink):
    with open_smtp(smtp_sink) as session, pytest.raises(InvalidAddress):
        session.send("erp@firma.example", [], RAW, before_dot=lambda: None)


def test_t16_the_ehlo_name_holds_no_command(smtp_sink: SmtpSink):
    with pytest.raises(InvalidArgument):
        open_smtp(smtp_sink, ehlo_name="erp\r\nMAIL FROM:<x>")


def test_b89_a_multiline_flood_ends_the_session():
    def flood(dialogue, line):
        while True:
            dialogue.send(b"250-more\r\n" * 1000)

    with ScriptedServer(smtp_script({b"MAIL": flood})) as server, open_smtp(server) as session:
        with pytest.raises(TransientDeliveryError) as caught:
            send(session)
        assert caught.value.code == "protocol_violation"
        assert not session.is_open


def test_r12_a_silent_server_is_given_up_before_the_dot():
    with ScriptedServer(smtp_script({b"DATA": says(b"")})) as server:
        with open_smtp(server, timeout=0.3) as session, pytest.raises(TransientDeliveryError) as caught:
            send(session)
        assert caught.value.code == "connection_timeout"


def test_r12_a_server_that_reads_nothing_is_given_up():
    answers = {b"EHLO": b"250 stub.example\r\n", b"DATA": stop_reading}
    endless = (b"x" * 76 + b"\r\n") * 400_000
    with (
        ScriptedServer(smtp_script(answers)) as server,
        open_smtp(server, timeout=0.5) as session,
        pytest.raises(TransientDeliveryError),
    ):
        send(session, raw=endless, before_dot=lambda: pytest.fail("not on the wire"))


def stop_reading(dialogue, line):
    dialogue.send(b"354 go on\r\n")
    dialogue.hold()
