"""Delivery reports: which message of ours they are about, and what became of each recipient (R28)."""

from __future__ import annotations

import time

import pytest

from mailkit.bounces import RecipientReport, is_bounce, parse_bounce
from mailkit.parsing import parse_message
from tests.mailkit.corpus import message, parsed_mail, raw_mail


def test_r28_standard_report():
    bounce = parse_bounce(parsed_mail("b80-dsn"))
    assert bounce.recipients == [
        RecipientReport(
            "weg@kunde.example", "failed", "5.1.1", "550 5.1.1 <weg@kunde.example>: User unknown"
        ),
        RecipientReport("voll@kunde.example", "delayed", "4.2.2", ""),
    ]
    assert bounce.original_message_ids == ["angebot-1@erp.example"]
    assert bounce.is_failure


def test_r28_delay_is_a_report_but_no_failure():
    bounce = parse_bounce(parsed_mail("b80-dsn-headers-only"))
    assert [(r.address, r.action) for r in bounce.recipients] == [("spaet@kunde.example", "delayed")]
    assert bounce.original_message_ids == ["angebot-2@erp.example"]
    assert not bounce.is_failure


@pytest.mark.parametrize(
    ("name", "address", "status", "original"),
    [
        ("r28-qmail-bounce", "weg@kunde.example", "5.1.1", "angebot-5@erp.example"),
        ("r28-exchange-bounce", "weg@kunde.example", "5.1.10", "angebot-6@erp.example"),
        ("r28-gmx-bounce", "weg@gmx.example", "5.0.0", "angebot-7@erp.example"),
        ("r28-t-online-bounce", "weg@t-online.example", "5.1.1", "angebot-8@erp.example"),
        ("r28-exim-bounce", "weg@kunde.example", "5.0.0", "angebot-9@erp.example"),
    ],
)
def test_r28_prose(name, address, status, original):
    bounce = parse_bounce(parsed_mail(name))
    assert [(r.address, r.action, r.status) for r in bounce.recipients] == [(address, "failed", status)]
    assert bounce.original_message_ids == [original]
    assert "\n" not in bounce.recipients[0].diagnostic


@pytest.mark.parametrize(
    "name", ["b80-mdn", "b80-arf", "b82-out-of-office-bare", "b76-null-return-path", "b02-headers-only"]
)
def test_b80_receipts_abuse_reports_and_the_rest_are_no_bounces(name):
    assert not is_bounce(parsed_mail(name))


def test_a_customer_writing_about_a_failed_delivery_is_no_bounce():
    parsed = message(
        "Subject: Mail delivery failed: was ist los?", body="Meine Mail ist unzustellbar, user unknown."
    )
    assert not is_bounce(parsed)


def test_report_parts_are_kept_for_reports_only_and_bounded():
    assert [p.content_type for p in parsed_mail("b80-dsn").report_parts] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]
    assert parsed_mail("b21-attached-50-deep").report_parts == []
    long = raw_mail("b80-dsn").replace(b"Action: failed", b"X-Fill: " + b"y" * 600_000)
    assert max(len(part.content) for part in parse_message(long).report_parts) == 256 * 1024


def test_hostile_reports_cost_linear_time():
    group = b"\r\nFinal-Recipient: rfc822; a@b.example\r\nAction: failed\r\n"
    raw = raw_mail("b80-dsn").replace(b"Reporting-MTA: dns; mx.erp.example\r\n", group * 4_000)
    started = time.perf_counter()
    assert len(parse_bounce(parse_message(raw)).recipients) <= 100
    prose = message("Return-Path: <>", "Subject: failure notice", body="a@b.example 550 " * 100_000)
    assert parse_bounce(prose).is_failure
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize(
    "status",
    ["", "\x00", "Final-Recipient: rfc822", "Final-Recipient: ;;;\r\nAction:\r\nStatus: x", ":\r\n\r\n:"],
)
def test_broken_status_parts_are_still_reports(status):
    raw = raw_mail("b80-dsn")
    start = raw.index(b"Reporting-MTA")
    end = raw.index(b"--grenze-1", start)
    parsed = parse_message(raw[:start] + status.encode() + b"\r\n" + raw[end:])
    assert parse_bounce(parsed).original_message_ids == ["angebot-1@erp.example"]


def test_r28_b26_a_report_full_of_line_ends_is_read_at_once():
    parsed = parsed_mail("r28-bounce-of-blank-lines")
    started = time.monotonic()
    bounce = parse_bounce(parsed)
    assert time.monotonic() - started < 5
    assert bounce is not None
    assert [report.address for report in bounce.recipients] == ["anna@kunde.example"]
    assert bounce.original_message_ids == ["original@erp.example"]
