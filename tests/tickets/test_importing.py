"""Importing batches: what is stored, in how many queries, and what bad mail becomes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from masterdata.models import Address, ContactPerson, Project
from tests.tickets.mails import CUSTOMER, eml, plain
from tickets import importing
from tickets.importing import import_batch, plan_batch
from tickets.models import Queue, Ticket, TicketMessage
from tickets.threads import answer_headers
from tickets.vocabulary import Mark


def test_a_batch_is_imported_in_order_with_everything_a_mail_holds(import_mails, account):
    messages = import_mails(
        eml(
            subject="eins",
            cc="Leitstand <leitstand@swl.example>",
            files={"Typenschild.jpg": b"\xff\xd8\xff" * 9},
        ),
        eml(subject="zwei", html="<p>Guten <b>Tag</b></p>"),
    )
    one, two = messages
    assert [message.subject for message in messages] == ["eins", "zwei"]
    assert (one.kind, one.from_name, one.from_address) == ("incoming", "Carsten Meinhold", CUSTOMER)
    assert (one.to, one.cc) == ([["", account.email]], [["Leitstand", "leitstand@swl.example"]])
    assert (one.delivered_to, one.reply_to) == (account.email, CUSTOMER)
    attachment = one.attachments.get()
    assert (attachment.filename, attachment.size, attachment.position) == ("Typenschild.jpg", 27, 0)
    assert two.untrusted_html.strip() == "<p>Guten <b>Tag</b></p>"
    assert one.raw_id is not None


def test_the_plan_knows_numbers_before_anything_is_written(incoming):
    plan = plan_batch([incoming(eml(message_id="a@x.example")), incoming(eml(in_reply_to="<a@x.example>"))])
    assert not Ticket.objects.exists()
    assert [one.is_new_ticket for one in plan.mails] == [True, False]
    assert plan.mails[0].number == plan.mails[1].number != ""


def _batch(incoming, size: int):
    """New mails, answers to known ones, strangers with numbers, attachments: all that costs queries."""
    known = Ticket.objects.order_by("pk").first()
    return [
        incoming(
            eml(
                from_=f"k{n}@kunde.example" if n % 2 else CUSTOMER,
                subject=f"Re: [#{known.number}]" if n % 3 else f"Anliegen {n}",
                cc=f"c{n}@kunde.example",
                files={"a.txt": b"x"},
            )
        )
        for n in range(size)
    ]


def test_the_number_of_queries_does_not_grow_from_five_mails_to_fifty(incoming, ticket):
    def statements(size: int) -> list[str]:
        mails = _batch(incoming, size)
        with CaptureQueriesContext(connection) as captured:
            plan = plan_batch(mails)
            with transaction.atomic():
                import_batch(plan)
        return [query["sql"][:60] for query in captured.captured_queries]

    statements(5)
    few, many = statements(5), statements(50)
    assert len(many) == len(few), "\n".join(many)
    assert len(many) <= 22


def test_joined_tickets_are_locked_in_one_statement_in_the_order_of_their_ids(incoming, import_mail, ticket):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row locks: its transactions follow each other")
    other = import_mail(eml(subject="zweites")).ticket
    mails = [incoming(eml(subject=f"[#{one.number}]")) for one in (other, ticket)]
    plan = plan_batch(mails)
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        import_batch(plan)
    locks = [query["sql"] for query in captured.captured_queries if "FOR NO KEY" in query["sql"]]
    assert len(locks) == 1
    assert 'ORDER BY "tickets_ticket"."id" ASC FOR NO KEY UPDATE OF "tickets_ticket"' in locks[0]


def test_a_message_never_lies_in_the_future(import_mail, incoming):
    message = import_mail(incoming(eml(), received_at=timezone.now() + timedelta(days=400)))
    assert message.at <= timezone.now()
    assert message.ticket.last_message_at == message.at


def test_b2_a_mail_without_content_becomes_a_ticket(import_mail):
    message = import_mail(plain(f"From: {CUSTOMER}", "To: service@brandis.example", body=""))
    assert message.is_empty
    assert (message.text, message.untrusted_html, message.ticket.subject) == ("", "", "")


@pytest.mark.parametrize("where", ["Subject: a\0b", "Message-ID: <a\0b@x.example>", "X: y"])
def test_b4_nul_is_removed_from_whatever_is_stored(import_mail, where):
    raw = plain(
        f"From: Carsten\0 Meinhold <{CUSTOMER}>", "To: a\0@b.example, service@brandis.example", where,
        "MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"',
        body="--b\nContent-Type: text/plain\n\nGuten\0Tag\n--b\nContent-Type: text/html\n\n<p>x\0y</p>\n"
        '--b\nContent-Type: application/x\0y; name="a\0.pdf"\nContent-Disposition: attachment\n'
        "Content-ID: <c\0@d>\n\nx\n--b--\n",
    )  # fmt: skip
    message = import_mail(raw)
    message.refresh_from_db()
    stored = [message.subject, message.text, message.untrusted_html, message.from_name, message.message_id]
    stored += [str(message.to), str(message.references), message.ticket.requester_name]
    stored += [str(value) for row in message.attachments.values() for value in row.values()]
    assert not [value for value in stored if "\0" in value]
    assert "Guten" in message.text


def test_b4_lone_surrogates_reach_no_column(import_mail, incoming):
    raw = plain(f"From: {CUSTOMER}", "Subject: =?utf-8?b?7aCA?= \udcff", body="\udced\udca0\udc80 Text")
    message = import_mail(incoming(raw))
    message.refresh_from_db()
    assert message.text.encode("utf-8")
    assert message.ticket.subject.encode("utf-8") is not None


def test_what_is_longer_than_its_column_is_cut_and_the_text_says_so(import_mail):
    long_name = "N" * 240
    message = import_mail(
        eml(
            from_=f'"{long_name}" <{CUSTOMER}>',
            subject="S" * 990,
            text="x" * 1_000_100,
            files={f"{'f' * 300}.pdf": b"x"},
        )
    )
    message.refresh_from_db()
    assert message.from_name == "N" * 200
    assert message.attachments.get().filename.endswith(".pdf")
    assert len(message.text) == 1_000_000
    assert message.marks == [Mark.TEXT_CUT]
    assert message.ticket.marks == []


def test_b29_invisible_characters_in_a_subject_reach_no_answer_of_ours(import_mail, queue_agent):
    ticket = import_mail(eml(subject="Rechnung \u202egpj.exe\u200b")).ticket
    assert "\u202e" in ticket.subject
    assert answer_headers(None) == (None, [])
    from tickets.threads import answer_subject

    assert answer_subject(ticket.subject, ticket.number) == f"Re: Rechnung gpj.exe [#{ticket.number}]"


@pytest.mark.parametrize(
    "sender", ["From: x@a.example\r\nFrom: y@b.example", "From: a@x.example, b@y.example"]
)
def test_b60_several_senders_are_marked(import_mail, sender):
    message = import_mail(plain(*sender.split("\r\n"), "Subject: x"))
    assert Mark.SEVERAL_SENDERS in message.marks


@pytest.mark.parametrize(
    "sender", ["X-Nothing: x", "From: <>", "From: Kunden:;", "From: =?utf-8?q?a=40b?=c@h.example"]
)
def test_b60_b63_no_valid_sender_takes_part_in_nothing(import_mail, sender):
    message = import_mail(plain(sender, "Subject: x"))
    assert message.marks == message.ticket.marks == [Mark.INVALID_SENDER]
    assert message.ticket.requester_address == ""
    assert not message.ticket.participants.exists()


def test_b70_two_mails_with_one_id_and_different_bodies_are_both_kept(import_mail):
    one = import_mail(eml(message_id="same@x.example", text="eins\n"))
    two = import_mail(eml(message_id="same@x.example", text="zwei\n"))
    assert [one.text.strip(), two.text.strip()] == ["eins", "zwei"]
    assert TicketMessage.objects.filter(message_id="same@x.example").count() == 2


def test_b70_also_within_one_batch(import_mails):
    one, two = import_mails(
        eml(message_id="same@x.example", text="eins\n"), eml(message_id="same@x.example", text="zwei\n")
    )
    assert [one.text.strip(), two.text.strip()] == ["eins", "zwei"]


def test_b71_mails_without_id_are_kept_and_never_mistaken_for_each_other(import_mails):
    one, two = import_mails(eml(message_id=None, text="eins"), eml(message_id=None, text="zwei"))
    assert one.ticket != two.ticket
    assert (one.message_id, two.message_id) == ("", "")


@pytest.mark.parametrize(
    "message_id", ["x" * 10_000 + "@x.example", 'x"\\y@x.example', "x" * 300 + "@x.example"]
)
def test_b72_an_odd_id_is_stored_found_again_and_kept_out_of_our_headers(import_mail, message_id):
    first = import_mail(plain(f"From: {CUSTOMER}", f"Message-ID: <{message_id}>", "Subject: x"))
    answer = import_mail(plain(f"From: {CUSTOMER}", f"In-Reply-To: <{message_id}>", "Subject: y"))
    assert answer.ticket == first.ticket
    in_reply_to, references = answer_headers(first)
    assert not [one for one in [in_reply_to or "", *references] if len(one) > 255 or one.startswith("sha256")]


def test_b72_ids_that_agree_in_their_first_255_characters_are_different(import_mail):
    long = "x" * 400
    first = import_mail(plain(f"From: {CUSTOMER}", f"Message-ID: <{long}1@x.example>", "Subject: x"))
    other = import_mail(plain(f"From: {CUSTOMER}", f"In-Reply-To: <{long}2@x.example>", "Subject: y"))
    assert other.ticket != first.ticket


def test_b73_the_same_mail_to_two_of_our_accounts_makes_two_linked_tickets(
    import_mail, incoming, make_account
):
    sales = make_account("sales@brandis.example")
    raw = eml(to="service@brandis.example, sales@brandis.example", message_id="both@x.example")
    first = import_mail(incoming(raw))
    second = import_mail(incoming(raw + b"\r\n", account=sales))
    assert (first.marks, second.marks) == ([], [Mark.ALSO_SENT_TO])
    assert list(second.ticket.related.all()) == [first.ticket]
    assert Ticket.objects.count() == 2


def test_b73_an_answer_to_two_of_our_accounts_joins_its_ticket_twice_marked(
    import_mail, incoming, make_account, ticket
):
    sales = make_account("sales@brandis.example")
    raw = eml(subject=f"[#{ticket.number}]", message_id="both@x.example")
    first = import_mail(incoming(raw))
    second = import_mail(incoming(raw + b"\r\n", account=sales))
    assert first.ticket == second.ticket == ticket
    assert second.marks == [Mark.ALSO_SENT_TO]


def test_b73_an_id_alone_links_nothing(import_mail, incoming, make_account):
    sales = make_account("sales@brandis.example")
    import_mail(eml(message_id="both@x.example"))
    second = import_mail(incoming(eml(from_="eve@x.example", message_id="both@x.example"), account=sales))
    assert second.marks == []
    assert not second.ticket.related.exists()


def test_r37_our_own_mail_arriving_in_another_of_our_accounts_makes_no_third_ticket(
    import_mail, incoming, make_account
):
    """A writes to B; B's mailbox is imported too; B's answer arrives at A."""
    sales = make_account("sales@brandis.example")
    question = eml(
        from_="service@brandis.example", to="sales@brandis.example", message_id="q@brandis.example"
    )
    first = import_mail(incoming(question, account=sales)).ticket
    answer = eml(
        from_="sales@brandis.example",
        to="service@brandis.example",
        in_reply_to="<q@brandis.example>",
        message_id="r@b.example",
    )
    import_mail(incoming(answer))
    back = eml(
        from_="service@brandis.example",
        in_reply_to="<r@b.example>",
        references="<q@brandis.example> <r@b.example>",
    )
    import_mail(incoming(back, account=sales))
    assert Ticket.objects.count() <= 2
    assert first.messages.count() >= 2


class TestCustomers:
    @pytest.fixture
    def customer(self, db) -> Address:
        return Address.objects.create(
            number="10482", name="Stadtwerke Lüneburg", is_customer=True, email="Info@Stadtwerke.example"
        )

    def test_found_by_the_address_whatever_its_case(self, import_mail, customer):
        assert import_mail(eml(from_="INFO@stadtwerke.example")).ticket.customer == customer

    def test_found_by_a_contact_person(self, import_mail, customer):
        ContactPerson.objects.create(address=customer, name="Carsten Meinhold", email=CUSTOMER.upper())
        assert import_mail(eml()).ticket.customer == customer

    def test_the_address_itself_counts_before_a_contact_person(self, import_mail, customer):
        other = Address.objects.create(number="1", name="Andere", is_customer=True)
        ContactPerson.objects.create(address=other, name="x", email="info@stadtwerke.example")
        assert import_mail(eml(from_="info@stadtwerke.example")).ticket.customer == customer

    def test_b61_a_colleagues_record_makes_nobody_a_customer(self, import_mail):
        Address.objects.create(number="E1", name="Jana Petersen", is_employee=True, email=CUSTOMER)
        assert import_mail(eml()).ticket.customer is None

    def test_an_empty_address_matches_nobody(self, import_mail):
        Address.objects.create(number="2", name="Ohne E-Mail", is_customer=True, email="")
        assert import_mail(plain("Subject: x")).ticket.customer is None


class TestOptions:
    def test_project_and_queue_are_the_accounts(self, import_mail, incoming, make_account):
        project = Project.objects.create(name="Service Nord", key="nord")
        special = Queue.objects.create(name="Nord")
        account = make_account("nord@brandis.example", default_project=project, default_queue=special)
        ticket = import_mail(incoming(eml(), account=account)).ticket
        assert (ticket.project, ticket.queue) == (project, special)

    def test_an_account_without_queue_uses_the_oldest_active_one(
        self, import_mail, incoming, make_account, queue
    ):
        Queue.objects.filter(pk=queue.pk).update(is_active=False)
        other = Queue.objects.create(name="Allgemein")
        account = make_account("ohne@brandis.example", default_queue=None)
        assert import_mail(incoming(eml(), account=account)).ticket.queue == other

    def test_without_any_queue_one_is_made(self, import_mail, incoming, make_account, queue):
        account = make_account("ohne@brandis.example", default_queue=None)
        queue.is_active = False
        queue.save()
        assert import_mail(incoming(eml(), account=account)).ticket.queue.is_active

    def test_closes_on_import(self, import_mail, incoming, make_account):
        account = make_account("archiv@brandis.example", closes_on_import=True)
        ticket = import_mail(incoming(eml(), account=account)).ticket
        assert (ticket.state, ticket.stays_closed) == (Ticket.State.CLOSED, True)
        assert ticket.closed_at is not None


@pytest.mark.django_db(transaction=True)
def test_two_importers_that_link_each_others_tickets_do_not_deadlock(
    incoming, import_mail, ticket, monkeypatch
):
    """Each joins one ticket and links a new one to the other's; both hold their lock before either links."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets one transaction write at a time")
    other = import_mail(eml(subject="zweites")).ticket
    plans = [
        plan_batch([
            incoming(eml(subject=f"[#{joined.number}]")),
            incoming(eml(from_="eve@x.example", subject=f"[#{linked.number}]")),
        ])
        for joined, linked in ((ticket, other), (other, ticket))
    ]  # fmt: skip
    both_hold = threading.Barrier(2, timeout=10)
    lock = importing._lock_joined

    def lock_and_wait(entries):
        held = lock(entries)
        both_hold.wait()
        return held

    monkeypatch.setattr(importing, "_lock_joined", lock_and_wait)

    def run(plan):
        try:
            with transaction.atomic():
                return import_batch(plan)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, plans))
    assert all(message is not None for messages in results for message in messages)
    assert ticket.related.count() == other.related.count() == 1
