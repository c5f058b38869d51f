"""Rows of the accounts: administrators work on all, owners look at their own, nobody else sees any."""

from django.utils import timezone

from mailaccounts.models import ConnectionTest, ImapSettings, MailAccount, MailAccountEmployee
from masterdata.models import Address, Employee
from tests.web.matrix import ADMINISTRATORS, EVERYBODY, NOT_THIS_WAY, Row, World

OTHERS = tuple(role for role in EVERYBODY if role not in ADMINISTRATORS)
SECTIONS = ("imap", "smtp", "employees", "tickets", "autoresponder", "log")


def prepare(world: World) -> None:
    """A company account, a retired one, the owner's personal one, and the superuser's finished test."""
    company = MailAccount.objects.create(display_name="Zentrale", email="zentrale@firma.example")
    ImapSettings.objects.create(account=company, host="mx.firma.example", username="zentrale")
    world.things["account"] = company
    world.things["retired account"] = MailAccount.objects.create(
        display_name="Messe", email="messe@firma.example", retired_at=timezone.now()
    )
    own = MailAccount.objects.create(
        kind=MailAccount.Kind.PERSONAL, display_name="Jana Petersen", email="j.petersen@firma.example"
    )
    address = Address.objects.create(number="O1", name="Jana Petersen", is_employee=True)
    owner = Employee.objects.create(address=address, user=world.users["owner"])
    MailAccountEmployee.objects.create(account=own, employee=owner)
    world.things["own account"] = own
    world.things["test"] = ConnectionTest.objects.create(
        kind=ConnectionTest.Kind.IMAP,
        account=company,
        started_by=world.users["superuser"],
        finished_at=timezone.now(),
    )


def _one(name):
    return lambda world: [world[name].pk]


def _section(account, slug):
    return lambda world: [world[account].pk, slug]


def _unknown(_world: World) -> list[int]:
    return [999_999]


def _page(name: str, kind: str = "account") -> list[Row]:
    """A page of administrators about one account."""
    return [
        Row(name, ADMINISTRATORS, args=_one(kind)),
        Row(name, (), args=_unknown, missing=ADMINISTRATORS, case="unknown"),
        Row(name, (), args=_unknown, missing=ADMINISTRATORS, method="post", case="unknown"),
    ]


def _button(name: str, answer: int) -> list[Row]:
    """A button of administrators: answers a POST only."""
    return [
        Row(name, ADMINISTRATORS, args=_one("account"), method="post", answer=answer),
        Row(name, ADMINISTRATORS, args=_one("account"), answer=NOT_THIS_WAY, case="read"),
        Row(name, (), args=_unknown, missing=ADMINISTRATORS, method="post", case="unknown"),
    ]


def _looked_at(name: str) -> list[Row]:
    """A page that owners open for their own account; what they may not see does not exist."""
    return [
        Row(name, ADMINISTRATORS, args=_one("account"), missing=OTHERS),
        Row(name, ("owner", *ADMINISTRATORS), args=_one("own account"), missing=OTHERS, case="own"),
        Row(name, (), args=_unknown, missing=EVERYBODY, case="unknown"),
    ]


def _tab(slug: str) -> list[Row]:
    name = "mailaccounts:section"
    return [
        Row(name, ADMINISTRATORS, args=_section("account", slug), missing=OTHERS, case=slug),
        Row(
            name,
            (),
            args=lambda _world: [999_999, slug],
            missing=EVERYBODY,
            method="post",
            case=f"unknown {slug}",
        ),
    ]


ROWS = [
    Row("mailaccounts:list", ("owner", *ADMINISTRATORS)),
    Row("mailaccounts:list", ("owner", *ADMINISTRATORS), query="?format=csv", case="csv"),
    Row("mailaccounts:create", ADMINISTRATORS),
    Row("mailaccounts:create", ADMINISTRATORS, method="post", answer=422),
    Row("mailaccounts:preset_new", ADMINISTRATORS, method="post"),
    Row("mailaccounts:test_new", ADMINISTRATORS, method="post", answer=422),
    Row("mailaccounts:folders_new", ADMINISTRATORS, method="post", answer=422),
    Row("mailaccounts:poll_all", ADMINISTRATORS, method="post", answer=302),
    Row(
        "mailaccounts:test",
        ("superuser",),
        args=lambda world: [world["test"].uuid],
        missing=("mail_administrator",),
    ),
    *_looked_at("mailaccounts:account"),
    *_looked_at("mailaccounts:health"),
    *(row for slug in SECTIONS for row in _tab(slug)),
    Row(
        "mailaccounts:section", (), args=_section("account", "nothing"), missing=EVERYBODY, case="no such tab"
    ),
    Row("mailaccounts:preset", ADMINISTRATORS, args=_one("account"), method="post"),
    *_button("mailaccounts:test_imap", 422),
    *_button("mailaccounts:folders", 422),
    *_button("mailaccounts:test_mail", 422),
    *_button("mailaccounts:hold", 302),
    *_button("mailaccounts:resume", 302),
    *_page("mailaccounts:retire"),
    *_page("mailaccounts:reactivate", "retired account"),
    *_page("mailaccounts:delete"),
]
