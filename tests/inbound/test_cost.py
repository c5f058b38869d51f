"""Nothing slow is built in: queries per batch do not grow with its mails, polls without news cost a few."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from archive.models import RawMail
from inbound import polling
from inbound.models import AutoReply, IncomingMessage
from outbound.models import OutgoingMessage
from tests.inbound.conftest import mail
from tests.inbound.test_autoresponder import bounce_of
from tickets.models import Attachment, Participant, Ticket, TicketEvent, TicketMessage

WRITTEN_BY_EVERY_MAIL = [
    RawMail, IncomingMessage, AutoReply, Ticket, TicketMessage, TicketEvent, Attachment, Participant,
]  # fmt: skip


def _queries(station) -> int:
    with CaptureQueriesContext(connection) as captured:
        polling.poll(station.account.pk, slice_seconds=None)
    return len(captured)


def test_a_batch_costs_the_same_with_5_and_50_mails(make_station):
    small, large = make_station(sends=True), make_station(sends=True)
    for station, count in ((small, 5), (large, 50)):
        station.answer_automatically()
        station.deliver(*[mail(f"Nummer {n}", sender=f"k{count}-{n}@kunde.example") for n in range(count)])
    # SQLite splits a few inserts for its number of variables; nothing grows mail by mail.
    assert _queries(large) <= _queries(small) + 5


def test_r28_bounces_cost_the_same_whether_one_comes_or_twenty(make_station):
    few, many = make_station(sends=True), make_station(sends=True)
    for station, count in ((few, 1), (many, 20)):
        station.answer_automatically()
        station.deliver(*[mail(sender=f"b{count}-{n}@kunde.example") for n in range(count)])
        station.poll()
        sent = OutgoingMessage.objects.filter(from_account=station.account)
        assert len(sent) == count
        station.deliver(*[bounce_of(one.message_id) for one in sent])
    assert _queries(many) <= _queries(few)
    assert many.states().count("bounce") == 20
    assert OutgoingMessage.objects.filter(from_account=many.account, bounced_at__isnull=True).count() == 0


def test_a_poll_without_news_costs_few_queries(station):
    station.deliver(mail())
    station.poll()
    assert _queries(station) <= 45


def test_excluded_mail_of_a_big_mailbox_costs_queries_by_the_chunk(station):
    station.change(is_enabled=False)
    station.deliver(*[mail() for _ in range(60)])
    few = _queries(station)
    station.deliver(*[mail() for _ in range(120)])
    assert _queries(station) <= few


@pytest.mark.django_db
@pytest.mark.parametrize("model", WRITTEN_BY_EVERY_MAIL)
def test_no_index_is_paid_for_twice(model):
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    partial = {one.name for one in (*model._meta.indexes, *model._meta.constraints) if one.condition}
    whole = {
        name: tuple(one["columns"])
        for name, one in found.items()
        if (one["index"] or one["unique"]) and name not in partial and not name.endswith("_like")
    }
    twice = [
        (name, other)
        for name, columns in whole.items()
        for other, longer in whole.items()
        if name != other and longer[: len(columns)] == columns and not found[name]["unique"]
    ]
    assert not twice


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite does not compress")
def test_what_mails_hold_is_compressed_with_lz4():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute "
            "WHERE attcompression = 'l' AND attrelid IN (%s::regclass, %s::regclass)",
            [RawMail._meta.db_table, TicketMessage._meta.db_table],
        )
        assert {name for (name,) in cursor.fetchall()} == {"content", "text", "untrusted_html"}
