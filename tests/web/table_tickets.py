"""Rows of the tickets: agents have those of their queues, owners those of their mailbox, the rest none."""

from django.utils import timezone

from archive.services import store_raw
from tests.web.matrix import ADMINISTRATORS, EVERYBODY, Row, World
from tickets.models import Attachment, Queue, Ticket, TicketMessage

ELSEWHERE = "20261124-00009"
RAW = (
    b"From: karl@kunde.example\r\nSubject: Band\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nGuten Tag\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\n"
    b"plan\r\n--b--\r\n"
)


def prepare(world: World) -> None:
    """A ticket in the agent's queue, one in a foreign queue, one of the owner's mailbox."""
    mine, foreign = Queue.objects.create(name="Service"), Queue.objects.create(name="Vertrieb")
    mine.agents.add(world.users["agent"])
    world.things["queue"] = mine
    for number, (name, queue, account) in enumerate(
        (
            ("ticket", mine, None),
            ("foreign ticket", foreign, None),
            ("own ticket", foreign, world["own account"]),
        )
    ):
        ticket = _ticket(f"20261124-{number + 1:05}", queue, account)
        world.things[name] = ticket


def _ticket(number: str, queue: Queue, account) -> Ticket:
    now = timezone.now()
    ticket = Ticket.objects.create(
        number=number, subject="Band steht", queue=queue, account=account, created_at=now,
        last_message_at=now, requester_address="karl@kunde.example",
    )  # fmt: skip
    (raw,) = store_raw([RAW + number.encode()]).values()
    message = TicketMessage.objects.create(
        ticket=ticket, kind=TicketMessage.Kind.INCOMING, at=now, raw=raw, text="Guten Tag"
    )
    Attachment.objects.create(
        message=message, position=0, filename="plan.pdf", content_type="application/pdf", size=4
    )
    return ticket


def _number(name):
    return lambda world: [world[name].number]


def _message(name):
    return lambda world: [world[name].number, world[name].messages.get().pk]


def _attachment(name):
    return lambda world: [world[name].number, world[name].messages.get().attachments.get().pk]


def _without(*roles: str) -> tuple[str, ...]:
    return tuple(role for role in EVERYBODY if role not in roles)


def _ticket_rows(name: str, args=_number, *, answer: int = 200, method: str = "get", data=None) -> list[Row]:
    """One page or action of a ticket: in a granted queue, in a foreign one, of one's own mailbox, of none."""
    fields = {"answer": answer, "method": method, "data": lambda _world: data or {}}
    tail = [1] if args is not _number else []
    return [
        Row(name, ("agent", "superuser"), args=args("ticket"), missing=_without(), **fields),
        Row(name, ("superuser",), args=args("foreign ticket"), missing=_without(), case="foreign", **fields),
        Row(
            name,
            ("owner", "superuser"),
            args=args("own ticket"),
            missing=_without(),
            case="own mailbox",
            **fields,
        ),
        Row(name, (), args=lambda _world: [ELSEWHERE, *tail], missing=_without(), case="unknown", **fields),
    ]


def _write_rows(name: str, answer: int, data=None) -> list[Row]:
    """A write: POST does it, GET leads to the ticket."""
    return [*_ticket_rows(name, answer=302), *_ticket_rows(name, answer=answer, method="post", data=data)]


WORKERS = ("owner", "agent", "superuser")
ROWS = [
    Row("tickets:list", WORKERS),
    Row("tickets:list", WORKERS, query="?format=csv", case="csv"),
    Row("tickets:create", WORKERS),
    Row("tickets:create", WORKERS, method="post", answer=422),
    Row("tickets:queue_list", ADMINISTRATORS),
    Row("tickets:queue_create", ADMINISTRATORS),
    Row("tickets:queue_edit", ADMINISTRATORS, args=lambda world: [world["queue"].pk]),
    Row("tickets:queue_edit", (), args=lambda _world: [999_999], missing=ADMINISTRATORS, case="unknown"),
    *_ticket_rows("tickets:ticket"),
    *_ticket_rows("tickets:log"),
    *_write_rows("tickets:reply", 422),
    *_write_rows("tickets:note", 422),
    *_write_rows("tickets:state", 302, {"state": "open"}),
    *_write_rows("tickets:properties", 422),
    *_ticket_rows("tickets:take", answer=302),
    *_ticket_rows("tickets:take", answer=302, method="post"),
    *_ticket_rows("tickets:customer"),
    *_ticket_rows("tickets:customer", answer=302, method="post"),
    *_ticket_rows("tickets:customer_create", answer=302),
    *_ticket_rows("tickets:attachment", _attachment),
    # What is no raster picture is never shown, to nobody.
    Row("tickets:inline", (), args=_attachment("ticket"), missing=EVERYBODY),
    Row("tickets:original", ("superuser",), args=_message("ticket"), missing=_without()),
    Row(
        "tickets:original",
        ("owner", "superuser"),
        args=_message("own ticket"),
        missing=_without(),
        case="own mailbox",
    ),
    Row("tickets:original", (), args=lambda _world: [ELSEWHERE, 1], missing=EVERYBODY, case="unknown"),
]
