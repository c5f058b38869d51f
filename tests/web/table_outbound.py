"""Rows of the outbox: the staff user wrote the mail; agents are senders too, but it is not theirs."""

from mailaccounts.models import MailAccount, SmtpSettings
from mailkit.addresses import Address
from outbound import services
from outbound.drafts import Draft
from outbound.models import OutgoingMessage
from tests.web.matrix import Row, World

SENDERS = ("owner", "staff", "agent", "mail_administrator", "superuser")
SEE_IT = ("staff", "mail_administrator", "superuser")


def _message(world: World) -> list[int]:
    if "outgoing" not in world.things:
        account = MailAccount.objects.create(display_name="Vertrieb", email="vertrieb@firma.example")
        SmtpSettings.objects.create(account=account, is_enabled=True, host="mx.firma.example")
        draft = Draft(
            from_address=account.email,
            to=[Address("", "kunde@kunde.example")],
            subject="Angebot",
            text="Guten Tag",
            purpose=OutgoingMessage.Purpose.TICKET,
        )
        world.things["outgoing"] = services.queue_message(draft=draft, by=world.users["staff"])
    return [world["outgoing"].pk]


def _failed(world: World) -> list[int]:
    ids = _message(world)
    OutgoingMessage.objects.filter(pk__in=ids).update(state=OutgoingMessage.State.FAILED)
    return ids


def _unknown(_world: World) -> list[int]:
    return [999_999]


def _action(name: str) -> list[Row]:
    return [
        Row(name, SEE_IT, args=_message, missing=("owner", "agent")),
        Row(name, (), args=_unknown, missing=SENDERS, case="unknown"),
        Row(name, (), args=_unknown, missing=SENDERS, method="post", case="unknown"),
    ]


ROWS = [
    Row("outbound:list", SENDERS),
    Row("outbound:list", SENDERS, query="?format=csv", case="csv"),
    Row("outbound:list", SENDERS, query="?state=failed&account=1&q=a", case="filtered"),
    Row(
        "outbound:bulk",
        SENDERS,
        method="post",
        answer=302,
        data=lambda world: {"action": "cancel", "pick": []},
    ),
    Row("outbound:message", SEE_IT, args=_message, missing=("owner", "agent")),
    Row("outbound:message", SEE_IT, args=_failed, missing=("owner", "agent"), case="failed"),
    # Content is for who wrote it; mail administrators see metadata, a superuser's reading is recorded.
    Row("outbound:raw", ("staff", "superuser"), args=_message, missing=("owner", "agent")),
    *_action("outbound:cancel"),
    *_action("outbound:try_now"),
    *_action("outbound:send_again"),
    *_action("outbound:arrived"),
    *_action("outbound:dismiss"),
    *_action("outbound:copy_again"),
]
