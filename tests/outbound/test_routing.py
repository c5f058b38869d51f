"""Which account sends (product §3), as a table over plain data, and the same through the database."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils import timezone

from mailaccounts.models import MailAccountEmployee
from masterdata.models import Address, Employee
from outbound import selectors
from outbound.errors import NoTransport
from outbound.routing import Route, carrier_of, owner_of

SERVICE = Route(1, "service@firma.example", sends=True)
SALES = Route(2, "sales@firma.example", sender_address="vertrieb@firma.example", sends=True)
LISTS_ADDRESS = Route(3, "x@andere.example", patterns=frozenset({"info@firma.example"}), sends=True)
LISTS_DOMAIN = Route(4, "y@andere.example", patterns=frozenset({"@firma.example"}), sends=True)
STANDARD = Route(
    0, "haupt@firma.example", patterns=frozenset({"@firma.example"}), sends=True, is_standard=True
)
ALL = [STANDARD, LISTS_DOMAIN, LISTS_ADDRESS, SALES, SERVICE]


@pytest.mark.parametrize(
    ("address", "routes", "expected"),
    [
        ("service@firma.example", ALL, 1),  # its e-mail address
        ("Service@FIRMA.example", ALL, 1),  # whatever the case
        ("vertrieb@firma.example", ALL, 2),  # its Sender E-Mailadresse
        ("info@firma.example", ALL, 3),  # listed by address
        ("jemand@firma.example", ALL, 4),  # listed by domain, before the standard account
        ("jemand@firma.example", [STANDARD, SALES], 0),  # what nobody else carries
        ("jemand@sub.firma.example", ALL, None),  # a subdomain is another domain
        ("fremd@kunde.example", ALL, None),
        ("", ALL, None),
        ("service@firma.example", [replace(SERVICE, sends=False)], None),  # SMTP off
        ("service@firma.example", [replace(SERVICE, sends=False), LISTS_DOMAIN], 4),  # another carries it
        # e-mail address before another's sender address, whatever the order
        ("vertrieb@firma.example", [SALES, Route(9, "vertrieb@firma.example", sends=True)], 9),
    ],
)
def test_first_match_wins(address, routes, expected):
    chosen = carrier_of(address, routes)
    assert (chosen.account_id if chosen else None) == expected
    backwards = carrier_of(address, routes[::-1])
    assert chosen == backwards


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("service@firma.example", 1),
        ("vertrieb@firma.example", 2),
        ("info@firma.example", None),  # listed is not owned
        ("jemand@firma.example", None),
    ],
)
def test_name_copy_and_rights_follow_the_owner_of_the_address(address, expected):
    owner = owner_of(address, [replace(route, sends=False) for route in ALL])
    assert (owner.account_id if owner else None) == expected


@pytest.mark.django_db
class TestDatabase:
    """The query finds every account the rules could choose."""

    def test_each_rule(self, make_account):
        service = make_account()
        sales = make_account("sales@firma.example", sender_address="Vertrieb@firma.example")
        lists = make_account("x@andere.example", further=("info@firma.example",))
        standard = make_account("haupt@firma.example", further=("@firma.example",), is_standard=True)
        assert selectors.transporting_account("SERVICE@firma.example") == service
        assert selectors.transporting_account("vertrieb@firma.example") == sales
        assert selectors.transporting_account("info@firma.example") == lists
        assert selectors.transporting_account("jemand@firma.example") == standard

    def test_no_transport_names_address_and_remedy(self, make_account):
        make_account(smtp=False)
        with pytest.raises(NoTransport) as caught:
            selectors.transporting_account("service@firma.example")
        assert caught.value.address == "service@firma.example"
        assert "service@firma.example" in caught.value.cause
        assert "SMTP" in caught.value.remedy

    def test_retired_accounts_carry_nothing(self, make_account):
        make_account(retired_at=timezone.now())
        with pytest.raises(NoTransport):
            selectors.transporting_account("service@firma.example")

    def test_the_client_alias_is_the_message_id_domain(self, make_account):
        make_account(client_alias="erp.firma.example")
        make_account("plain@firma.example")
        assert selectors.message_id_domain("service@firma.example") == "erp.firma.example"
        assert selectors.message_id_domain("plain@firma.example") == "firma.example"


@pytest.mark.django_db
class TestWhoMaySendAsWhom:
    """Product §6: the addresses of the accounts the user may use, on every path."""

    @pytest.fixture
    def employee_of(self):
        def make(user) -> Employee:
            address = Address.objects.create(number=f"M-{user.pk}", name=user.username, is_employee=True)
            return Employee.objects.create(address=address, user=user)

        return make

    def addresses(self, user, **kwargs) -> list[str]:
        return [sender.address for sender in selectors.senders_for(user, **kwargs)]

    def test_a_company_account_without_list_is_open_to_all_staff(self, make_account, make_user):
        make_account(sender_address="kontakt@firma.example", further=("info@firma.example", "@firma.example"))
        staff, outsider = make_user("staff"), make_user("auditor")
        assert self.addresses(staff) == [
            "service@firma.example",
            "kontakt@firma.example",
            "info@firma.example",
        ]
        assert self.addresses(outsider) == []
        assert selectors.may_send_from(staff, "INFO@firma.example")
        assert not selectors.may_send_from(staff, "jemand@firma.example")  # a domain names no address
        assert not selectors.may_send_from(outsider, "service@firma.example")

    def test_a_listed_company_account_is_open_to_those_listed(self, make_account, make_user, employee_of):
        account, one, other = make_account(), make_user("staff"), make_user("staff")
        MailAccountEmployee.objects.create(account=account, employee=employee_of(one))
        assert selectors.may_send_from(one, "service@firma.example")
        assert not selectors.may_send_from(other, "service@firma.example")

    def test_a_personal_account_belongs_to_its_employee(self, make_account, make_user, employee_of):
        account = make_account("jana@firma.example", kind="personal")
        jana, admin = make_user("staff"), make_user("mail_administrator")
        MailAccountEmployee.objects.create(account=account, employee=employee_of(jana))
        assert selectors.may_send_from(jana, "jana@firma.example")
        assert not selectors.may_send_from(admin, "jana@firma.example")

    def test_a_queue_right_vouches_for_its_account(self, make_account, make_user, employee_of):
        account, agent, other = make_account(), make_user("agent"), make_user("staff")
        MailAccountEmployee.objects.create(account=account, employee=employee_of(other))
        assert not selectors.may_send_from(agent, "service@firma.example")
        assert selectors.may_send_from(agent, "service@firma.example", account=account)
        account.retired_at = timezone.now()
        assert not selectors.may_send_from(agent, "service@firma.example", account=account)

    def test_the_name_is_the_sender_name_or_the_displayed_name(self, make_account, make_user):
        make_account(sender_name="Firma Kundendienst")
        make_account("sales@firma.example", display_name="Vertrieb")
        names = {sender.address: sender.name for sender in selectors.senders_for(make_user("staff"))}
        assert names == {"service@firma.example": "Firma Kundendienst", "sales@firma.example": "Vertrieb"}
