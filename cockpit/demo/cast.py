"""Who is who in the demo: the company's users and accounts, its customers, and everybody's mailbox."""

from __future__ import annotations

from dataclasses import dataclass

from masterdata import roles

OWN_DOMAIN = "@brandis.example"
IMAP_OFFSET, SMTP_OFFSET = 143, 25
PASSWORD = "demo-brandis-2026"  # noqa: S105  # printed on the screen, good on loopback only
MAIL_PASSWORD = "demo-postfach"  # noqa: S105  # as above
SPARE_MAILBOX = "buchhaltung@brandis.example"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """One user of the demo and the role they show."""

    username: str
    name: str
    role: str
    label: str
    queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One connected mailbox of the demo company."""

    email: str
    name: str
    description: str
    queue: str
    project: str
    autoresponder: bool
    contact_form_senders: str = ""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer with a contact person who has a mailbox in the demo."""

    number: str
    name: str
    city: str
    contact: str
    function: str
    email: str
    phone: str


USERS = (
    DemoUser("admin", "Maren Schultheiß", "", "superuser: everything"),
    DemoUser(
        "mailadmin",
        "Bernd Krüger",
        roles.MAIL_ADMINISTRATOR,
        "mail administrator: accounts, quarantine, outbox",
    ),
    DemoUser(
        "jana",
        "Jana Petersen",
        roles.AGENT,
        "support agent: queues Service and Vertrieb",
        ("Service", "Vertrieb"),
    ),
    DemoUser("tobias", "Tobias Lindqvist", roles.AGENT, "support agent: queue Zentrale", ("Zentrale",)),
    DemoUser("aylin", "Aylin Öztürk", roles.STAFF, "staff: addresses and own mail"),
    DemoUser("pruefer", "Henrik Voss", roles.AUDITOR, "auditor: record of changes"),
)

PROJECTS = (
    ("service-nord", "Service Nord", "service@brandis.example"),
    ("vertrieb", "Vertrieb", "vertrieb@brandis.example"),
)

ACCOUNTS = (
    DemoAccount("service@brandis.example", "Brandis Service", "Sammelpostfach Service und Ersatzteile", "Service", "service-nord", autoresponder=True),
    DemoAccount("vertrieb@brandis.example", "Brandis Vertrieb", "Angebote und Aufträge", "Vertrieb", "vertrieb", autoresponder=True),
    DemoAccount("info@brandis.example", "Brandis Zentrale", "Allgemeine Anfragen und Kontaktformular", "Zentrale", "", autoresponder=False, contact_form_senders="formular@webshop.example"),
)  # fmt: skip

CUSTOMERS = (
    Customer("10482", "Stadtwerke Lüneburg GmbH", "Lüneburg", "Carsten Meinhold", "Technik", "c.meinhold@stadtwerke-lueneburg.example", "04131 5550-23"),
    Customer("10517", "Hanseatische Getränkelogistik GmbH", "Hamburg", "Merle Claasen", "Disposition", "disposition@hanseatische-getraenkelogistik.example", "040 5558-410"),
    Customer("10533", "Kellermann & Söhne KG", "Celle", "Ingo Kellermann", "Geschäftsführung", "i.kellermann@kellermann-soehne.example", "05141 5551-0"),
    Customer("10541", "Papierfabrik Wendland AG", "Lüchow", "Sabine Wulf", "Instandhaltung", "s.wulf@papierfabrik-wendland.example", "05841 5552-17"),
    Customer("10560", "Nordsee-Fischverarbeitungsgesellschaft mbH", "Cuxhaven", "Leitstand", "Technik", "technik@nordsee-fisch.example", "04721 5553-30"),
    Customer("10574", "Bäckerei Thomsen", "Husum", "Jan Thomsen", "Inhaber", "j.thomsen@baeckerei-thomsen.example", "04841 5554-1"),
    Customer("10588", "Recyclinghof Elbmarsch", "Winsen", "Petra Hofmann", "Betrieb", "p.hofmann@recyclinghof-elbmarsch.example", "04171 88 12 40"),
)  # fmt: skip

MAILBOXES = dict.fromkeys(
    (
        *(account.email for account in ACCOUNTS),
        SPARE_MAILBOX,
        # Where alerts arrive.
        f"admin{OWN_DOMAIN}",
        f"mailadmin{OWN_DOMAIN}",
        *(customer.email for customer in CUSTOMERS),
        "m.claasen@hanseatische-getraenkelogistik.example",
        "vertrieb@walzlager-direkt.example",
    ),
    MAIL_PASSWORD,
)
