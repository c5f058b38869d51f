"""The demo company: Brandis Fördertechnik with its projects, customers, employees, queues and accounts.

Seeding is idempotent: whatever is there already stays as the user left it.
"""

from __future__ import annotations

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from cockpit.demo.cast import (
    ACCOUNTS,
    CUSTOMERS,
    MAIL_PASSWORD,
    OWN_DOMAIN,
    PASSWORD,
    PROJECTS,
    USERS,
    DemoAccount,
)
from inbound.models import AutoresponderOptions
from mailaccounts import services as accounts
from mailaccounts.models import ImapSettings, MailAccount, SmtpSettings
from masterdata.models import Address, Company, ContactPerson, Employee, Project
from tickets.models import Queue, TicketOptions

ANSWER_SUBJECT = "Eingangsbestätigung [#{TICKET}]: {BETREFF}"
ANSWER_HTML = (
    "<p>Guten Tag,</p><p>vielen Dank für Ihre Nachricht „{BETREFF}“. Wir haben sie unter der Nummer "
    "<b>{TICKET}</b> aufgenommen und melden uns in der Regel innerhalb eines Arbeitstages.</p>"
    "<p>Mit freundlichen Grüßen<br>Brandis Fördertechnik GmbH</p>"
)


@transaction.atomic
def seed(*, imap_port: int, smtp_port: int) -> None:
    """Create what is missing, and point the accounts to this start's ports."""
    if Company.objects.exists():
        ImapSettings.objects.filter(host="localhost").update(port=imap_port)
        SmtpSettings.objects.filter(host="localhost").update(port=smtp_port)
        return
    Company.objects.create(
        name="Brandis Fördertechnik GmbH",
        main_address="info@brandis.example",
        sender_name="Brandis Fördertechnik",
        particulars=(
            "Brandis Fördertechnik GmbH · Sitz Lüneburg · Amtsgericht Lüneburg HRB 20482 · "
            "Geschäftsführerin Maren Schultheiß · USt-IdNr. DE999999999"
        ),
    )
    Project.objects.bulk_create(
        Project(key=key, name=name, preferred_sender=sender) for key, name, sender in PROJECTS
    )
    seed_customers()
    seed_users()
    for account in ACCOUNTS:
        seed_account(account, imap_port=imap_port, smtp_port=smtp_port)


def seed_customers() -> None:
    """Customers with their contact persons."""
    for customer in CUSTOMERS:
        address = Address.objects.create(
            number=customer.number,
            name=customer.name,
            is_customer=True,
            city=customer.city,
            phone=customer.phone,
            email=f"info@{customer.email.rpartition('@')[2]}",
        )
        ContactPerson.objects.create(
            address=address,
            name=customer.contact,
            function=customer.function,
            email=customer.email,
            phone=customer.phone,
        )


def seed_users() -> None:
    """One user a role, each an employee, with their queues."""
    password = make_password(PASSWORD)  # once for all: a hash takes a quarter of a second
    for number, demo_user in enumerate(USERS, start=1):
        first, _, last = demo_user.name.partition(" ")
        email = f"{demo_user.username}{OWN_DOMAIN}"
        user = User(username=demo_user.username, email=email, first_name=first, last_name=last)
        user.password = password
        user.is_superuser = not demo_user.role
        user.save()
        user.groups.set(Group.objects.filter(name=demo_user.role))
        address = Address.objects.create(
            number=f"M{number:03d}", name=demo_user.name, is_employee=True, email=email
        )
        Employee.objects.create(address=address, user=user, email=email)
        for name in demo_user.queues:
            Queue.objects.get_or_create(name=name)[0].agents.add(user)


def seed_account(demo_account: DemoAccount, *, imap_port: int, smtp_port: int) -> None:
    """One connected account with ticket system and autoresponder."""
    account = MailAccount.objects.create(
        display_name=demo_account.name,
        email=demo_account.email,
        description=demo_account.description,
        is_standard=demo_account.email == "info@brandis.example",
    )
    imap = ImapSettings(
        account=account,
        host="localhost",
        port=imap_port,
        security=ImapSettings.Security.STARTTLS,
        username=demo_account.email,
        folders=["INBOX"],
        poll_seconds=10,
        copies_sent=True,
        sent_folder="Sent",
    )
    accounts.store_imap_password(imap, MAIL_PASSWORD)
    imap.save()
    SmtpSettings.objects.create(
        account=account,
        is_enabled=True,
        host="localhost",
        port=smtp_port,
        security=SmtpSettings.Security.STARTTLS,
    )
    TicketOptions.objects.create(
        account=account,
        is_enabled=True,
        default_queue=Queue.objects.get(name=demo_account.queue),
        default_project=Project.objects.filter(key=demo_account.project).first(),
        from_date=timezone.localdate(),
        contact_form_senders=demo_account.contact_form_senders,
    )
    AutoresponderOptions.objects.create(
        account=account,
        is_enabled=demo_account.autoresponder,
        enabled_at=timezone.now() if demo_account.autoresponder else None,
        subject=ANSWER_SUBJECT,
        html=ANSWER_HTML,
    )
