"""The decision about an automatic answer, rule by rule (product §7, RFC 3834; N of the bad mail)."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inbound import autoreply_text, autoresponder
from inbound.autoresponder import DAILY_LIMIT, HOURLY_LIMIT, Facts, Rules, suppression_reason
from inbound.days import BERLIN, berlin_day
from mailkit.parsing import parse_message
from tests.inbound.conftest import mail

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RULES = Rules(enabled_at=NOW - timedelta(days=30), once_a_day=True)
GOOD = Facts(
    received_at=NOW - timedelta(minutes=1),
    now=NOW,
    sender="anna@kunde.example",
    header_reason=None,
    is_bounce=False,
    is_own=False,
    failed_authentication=False,
    answered_at=(),
    answers_this_hour=0,
)


def test_an_ordinary_mail_is_answered():
    assert suppression_reason(GOOD, RULES) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"is_bounce": True}, "bounce"),
        ({"is_own": True}, "own-address"),
        ({"sender": ""}, "no-valid-sender"),
        ({"header_reason": "mailing-list"}, "mailing-list"),
        ({"failed_authentication": True}, "authentication-failed"),
        ({"received_at": NOW - timedelta(days=31)}, "received-before-enabled"),
        ({"received_at": NOW - timedelta(hours=24, seconds=1)}, "too-old"),
        ({"answered_at": (NOW - timedelta(hours=1),)}, "already-answered-today"),
        ({"answers_this_hour": HOURLY_LIMIT}, "account-limit"),
    ],
)
def test_each_rule_alone_suppresses(change, code):
    assert suppression_reason(replace(GOOD, **change), RULES) == code


def test_r41_mail_older_than_a_restored_backup_may_have_been_answered_already():
    restored = Rules(RULES.enabled_at, once_a_day=True, restored_at=GOOD.received_at + timedelta(seconds=1))
    assert suppression_reason(GOOD, restored) == "received-before-restore"
    assert suppression_reason(replace(GOOD, received_at=restored.restored_at), restored) is None


def test_never_switched_on_never_answers():
    assert suppression_reason(GOOD, Rules(None, once_a_day=True)) == "received-before-enabled"


def test_t6_with_one_a_day_off_five_a_day_is_the_cap():
    often = Rules(RULES.enabled_at, once_a_day=False)
    four = replace(GOOD, answered_at=(NOW,) * (DAILY_LIMIT - 1))
    five = replace(GOOD, answered_at=(NOW,) * DAILY_LIMIT)
    yesterday = replace(GOOD, answered_at=(NOW - timedelta(days=1),) * DAILY_LIMIT)
    assert [suppression_reason(facts, often) for facts in (four, five, yesterday)] == [
        None,
        "sender-limit",
        None,
    ]


# -- R33: at most one per Berlin day and per rolling 20 h, in every season and with a wrong clock


def _berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("2026-11-23T23:50", "2026-11-24T00:10", "answered-within-20-hours"),
        ("2026-11-23T08:00", "2026-11-24T03:59", "answered-within-20-hours"),
        ("2026-11-23T08:00", "2026-11-24T04:01", None),
        ("2026-11-24T00:01", "2026-11-24T23:59", "already-answered-today"),
        # 2026-10-25 has 25 hours: 24 h 30 min later it is still the same day.
        ("2026-10-25T00:10", "2026-10-25T23:40", "already-answered-today"),
        ("2026-10-24T23:50", "2026-10-25T00:10", "answered-within-20-hours"),
        ("2026-10-25T00:10", "2026-10-26T00:10", None),
        # 2027-03-28 has 23 hours: 20 hours lie between 02:30 and 23:30 of the evening before.
        ("2027-03-27T05:30", "2027-03-28T00:30", "answered-within-20-hours"),
        ("2027-03-27T23:30", "2027-03-28T20:29", "answered-within-20-hours"),
        ("2027-03-28T00:01", "2027-03-28T23:59", "already-answered-today"),
        ("2027-10-31T00:05", "2027-10-31T23:55", "already-answered-today"),
        ("2027-10-30T23:59", "2027-10-31T00:01", "answered-within-20-hours"),
    ],
)
def test_r33_days_of_23_24_and_25_hours(first, second, code):
    now = _berlin(second)
    facts = replace(GOOD, now=now, received_at=now, answered_at=(_berlin(first),))
    assert suppression_reason(facts, replace_rules()) == code


def replace_rules() -> Rules:
    return Rules(datetime(2020, 1, 1, tzinfo=UTC), once_a_day=True)


def test_r33_a_clock_set_back_by_a_day_does_not_answer_twice():
    facts = replace(GOOD, answered_at=(NOW + timedelta(days=1),))
    assert suppression_reason(facts, RULES) == "answered-within-20-hours"


@given(
    st.lists(st.integers(0, 60 * 24 * 6), min_size=1, max_size=60),
    st.sampled_from(["2026-10-23T00:00", "2027-03-26T00:00", "2027-10-29T00:00", "2026-11-20T00:00"]),
)
def test_r33_whatever_arrives_when_one_a_day_and_one_in_20_hours(minutes, start):
    begin = _berlin(start)
    answered: list[datetime] = []
    for minute in sorted(minutes):
        now = begin + timedelta(minutes=minute)
        facts = replace(GOOD, now=now, received_at=now, answered_at=tuple(answered))
        if suppression_reason(facts, replace_rules()) is None:
            answered.append(now)
    assert len({berlin_day(at) for at in answered}) == len(answered)
    assert all(later - earlier >= timedelta(hours=20) for earlier, later in itertools.pairwise(answered))


# -- senders


@pytest.mark.parametrize(
    "address",
    ["info@firma.example", "INFO@Firma.Example", "info+shop@firma.example", "Info+A+B@FIRMA.example"],
)
def test_b81_own_addresses_by_case_and_tag(address):
    own = {autoresponder.sender_key("info@firma.example")}
    assert autoresponder.is_own_address(address, own)


def test_b81_variants_of_one_sender_share_a_counter():
    keys = {
        autoresponder.sender_key(a)
        for a in ("anna@kunde.example", "Anna+1@Kunde.example", "ANNA+2@kunde.example")
    }
    assert keys == {"anna@kunde.example"}


def _reason(raw: bytes, *, from_contact_form: bool = False) -> str | None:
    return autoresponder.header_reason(parse_message(raw), from_contact_form=from_contact_form)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Auto-Submitted", "auto-generated"),  # B75
        ("Auto-Submitted", "auto-replied (vacation)"),
        ("Return-Path", "<>"),  # B76
        ("Precedence", "bulk"),  # B77
        ("List-Id", "<news.kunde.example>"),
        ("List-Unsubscribe", "<mailto:off@kunde.example>"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),  # B78
        ("X-Loop", "anything"),
    ],
)
def test_b75_b76_b77_b78_fields_that_forbid_an_answer(name, value):
    assert _reason(mail(headers=((name, value),)))


@pytest.mark.parametrize(
    "sender",
    [
        "mailer-daemon@kunde.example", "noreply@kunde.example", "no-reply@kunde.example",
        "list-request@kunde.example",
        "owner-list@kunde.example",
    ],
)  # fmt: skip
def test_b79_senders_nobody_reads(sender):
    assert _reason(mail(sender=sender)) == "system-sender"


@pytest.mark.parametrize(
    "sender", [None, "<>", "Gruppe: a@kunde.example, b@kunde.example;", "=?utf-8?q?a=40b?=@kunde.example"]
)
def test_b60_b63_unusable_senders(sender):
    assert _reason(mail(sender=sender))


def test_b60_two_from_fields():
    raw = mail().replace(b"\r\nTo:", b"\r\nFrom: zwei@kunde.example\r\nTo:", 1)
    assert _reason(raw) == "several-from"


@pytest.mark.parametrize("kind", ["delivery-status", "disposition-notification", "feedback-report"])
def test_b80_reports(kind):
    raw = mail().replace(
        b"Content-Type: text/plain; charset=utf-8",
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"'.encode(),
    )
    assert _reason(raw) == "report"


def test_contact_form_counts_as_its_reply_to():
    form = mail(sender="no-reply@shop.example", headers=(("Reply-To", "Kundin <k@kunde.example>"),))
    assert _reason(form) == "system-sender"
    assert _reason(form, from_contact_form=True) is None


def test_contact_form_that_says_it_is_automatic_is_not_answered():
    form = mail(
        sender="no-reply@shop.example",
        headers=(("Reply-To", "k@kunde.example"), ("Auto-Submitted", "auto-generated")),
    )
    assert _reason(form, from_contact_form=True) == "auto-submitted"


# -- text


def test_t6_b84_betreff_is_literal_one_line_short_and_without_links():
    subject = "Hallo\r\nBcc: alle@kunde.example {TICKET} {{ 7*7 }} %(x)s "
    subject += "https://boese.example/x www.boese.example boese.example/a"
    values = autoreply_text.variables(number="20261124-00042", subject=subject)
    line = autoreply_text.render_subject("Zu {BETREFF} ({TICKET})", values)
    assert line == "Zu Hallo Bcc: {TICKET} {{ 7*7 }} %(x)s (20261124-00042)"


def test_b84_betreff_is_cut_at_200_characters():
    assert len(autoreply_text.harmless_subject("ä" * 500)) == 200


def test_b84_betreff_is_escaped_in_html():
    values = autoreply_text.variables(number="1", subject='<img src=x onerror=alert(1)> & "Gruß"')
    html = autoreply_text.render_html("<p>{BETREFF}</p>", values)
    assert html == "<p>&lt;img src=x onerror=alert(1)&gt; &amp; &quot;Gruß&quot;</p>"


@pytest.mark.parametrize(
    "subject",
    ["Rechnung 4711 vom 24.11.2026", "Angebot Nr. 12/2026", "Frage z.B. zur Ware", "1.234,50 EUR überwiesen"],
)
def test_ordinary_subjects_stay_as_they_are(subject):
    assert autoreply_text.harmless_subject(subject) == subject


def test_text_keeps_formatting_and_loses_danger():
    html = '<p style="x" onclick="y">Guten <b>Tag</b> <a href="javascript:1">a</a>'
    html += '<script>x</script><img src="https://x/y"></p>'
    assert autoreply_text.sanitise(html) == "<p>Guten <b>Tag</b> <a>a</a></p>"


def test_plain_lines_stay_lines_in_both_forms_of_the_answer():
    values = autoreply_text.variables(number="1", subject="Frage")
    html = autoreply_text.render_html("Guten Tag,\n\nzu {BETREFF} & mehr\nIhr Service", values)
    assert html == "<p>Guten Tag,</p>\n\n<p>zu Frage &amp; mehr<br>Ihr Service</p>"
    assert "mehr\nIhr" in autoreply_text.render_text(html)


def test_html_that_says_where_lines_end_is_left_alone():
    template = "<p>Guten Tag,</p>\n<p>bis bald</p>"
    assert autoreply_text.sanitise(template) == template
