"""What arrives at the demo company: German business mail, and the odd mail that every mailbox gets.

Replies and the bounce refer to what the demo really sent: they wait for our automatic answer in the customer's
mailbox and are skipped while there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime

from cockpit.demo.letters import Letter, pdf, png

SERVICE = "service@brandis.example"
SALES = "vertrieb@brandis.example"
INFO = "info@brandis.example"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a sample may refer to: the time, and the newest mail in its customer's mailbox."""

    now: datetime
    newest: bytes | None


Maker = Callable[[Situation], bytes | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """One mail to one of our addresses; ``make`` returns None where what it refers to is not there (yet)."""

    key: str
    sender: str
    recipient: str
    make: Maker


def plain(letter: Letter) -> Sample:
    """A letter as it is."""
    return Sample(
        letter.subject, letter.address, letter.recipient, lambda at: letter.build(at.now).as_bytes()
    )


def changed(letter: Letter, change: Callable[[EmailMessage], object]) -> Sample:
    """A letter with attachments, other headers or the like."""

    def make(at: Situation) -> bytes:
        message = letter.build(at.now)
        change(message)
        return message.as_bytes()

    return Sample(letter.subject, letter.address, letter.recipient, make)


def reply(letter: Letter) -> Sample:
    """An answer to the newest mail that we sent to this customer."""

    def make(at: Situation) -> bytes | None:
        if at.newest is None:
            return None
        ours = message_from_bytes(at.newest, policy=policy.default)
        message = letter.build(at.now)
        message.replace_header("Subject", f"AW: {ours['Subject']}")
        message["In-Reply-To"] = message["References"] = str(ours["Message-ID"])
        body = ours.get_body(("plain",))
        quoted = "".join(f"> {line}\n" for line in (body.get_content() if body else "").splitlines())
        message.set_content(
            f"{letter.text.strip()}\n\nAm {at.now:%d.%m.%Y} schrieb Brandis Fördertechnik:\n{quoted}"
        )
        return message.as_bytes()

    return Sample(f"reply:{letter.text[:40]}", letter.address, letter.recipient, make)


FIRST_REPORT = Letter(
    "Carsten Meinhold", "c.meinhold@stadtwerke-lueneburg.example", SERVICE,
    "Förderband FB-220 steht – Motorschutz löst aus",
    """
Guten Morgen,

unser Förderband FB-220 (Baujahr 2023, Maschinennummer 220-0417) steht
seit der Nachtschicht. Der Motorschutzschalter löst nach etwa 20 Sekunden
aus, auch ohne Last. Ein Foto vom Typenschild hängt an.

Wann können Sie jemanden schicken?

Mit freundlichen Grüßen
Carsten Meinhold
Stadtwerke Lüneburg GmbH, Technik
Telefon 04131 5550-23
""",
)  # fmt: skip

ORDER_QUESTION = Letter(
    "Disposition HGL", "disposition@hanseatische-getraenkelogistik.example", SALES,
    "Rückfrage zur Auftragsbestätigung AB-2026-1187",
    """
Sehr geehrte Damen und Herren,

in der Auftragsbestätigung AB-2026-1187 steht als Liefertermin die KW 51.
Vereinbart war die KW 49. Bitte bestätigen Sie uns den früheren Termin
oder rufen Sie kurz an.

Freundliche Grüße
Hanseatische Getränkelogistik GmbH
i. A. Merle Claasen
""",
)  # fmt: skip

DRAWING = Letter(
    "Ingo Kellermann", "i.kellermann@kellermann-soehne.example", SALES,
    "Angebot erbeten: Rollenbahn 12 m, Zeichnung anbei",
    """
Guten Tag,

wir planen eine Rollenbahn von 12 Metern für Paletten bis 800 kg. Die
Zeichnung finden Sie im Anhang. Bitte machen Sie uns ein Angebot
einschließlich Montage im Werk Süd.

Viele Grüße
Ingo Kellermann
""",
)  # fmt: skip

CONTACT_FORM = Letter(
    "Kontaktformular brandis.example", "formular@webshop.example", INFO,
    "Kontaktformular: Betriebsanleitung gesucht",
    """
Name: Petra Hofmann
E-Mail: p.hofmann@recyclinghof-elbmarsch.example
Telefon: 04171 88 12 40

Nachricht:
Wir haben einen gebrauchten Steigförderer SF-80 übernommen. Können Sie uns die Betriebsanleitung schicken?
""",
)  # fmt: skip

OUT_OF_OFFICE = Letter(
    "Merle Claasen", "m.claasen@hanseatische-getraenkelogistik.example", SALES,
    "Automatische Antwort: Ihre Terminbestätigung",
    """
Vielen Dank für Ihre Nachricht. Ich bin bis zum 4. Dezember nicht im Büro
und lese meine E-Mails nicht. In dringenden Fällen wenden Sie sich bitte an
disposition@hanseatische-getraenkelogistik.example.
""",
)  # fmt: skip

NEWSLETTER = Letter(
    "Fördertechnik aktuell", "news@foerdertechnik-aktuell.example", INFO,
    "Fördertechnik aktuell: Neuheiten der LogiMAT",
    """
Die Neuheiten der Messe im Überblick: https://foerdertechnik-aktuell.example/logimat
Abmelden: https://foerdertechnik-aktuell.example/abmelden
""",
)  # fmt: skip

NEWSLETTER_HTML = """
<html><body style="background:#f4f4f4"><img src="https://t.foerdertechnik-aktuell.example/pixel.gif" width="1" height="1">
<script>track("open")</script><h1>Neuheiten der LogiMAT</h1>
<img src="https://foerdertechnik-aktuell.example/messe.jpg" alt="Messehalle" width="480" height="240">
<p>Energiesparende Antriebe, <a href="https://foerdertechnik-aktuell.example/logimat">mehr dazu</a>.</p></body></html>
"""


def with_plate(message: EmailMessage) -> None:
    """Attach the photo of a type plate."""
    message.add_attachment(png(), maintype="image", subtype="png", filename="Typenschild FB-220.png")


def with_drawing(message: EmailMessage) -> None:
    """Attach a drawing with an umlaut in its name."""
    message.add_attachment(
        pdf("Rollenbahn 12 m"),
        maintype="application",
        subtype="pdf",
        filename="Rollenbahn Werk Süd – Übersicht.pdf",
    )


def with_logo(message: EmailMessage) -> None:
    """An HTML mail with an inline picture, as Outlook sends it."""
    message.add_alternative(
        "<p>Guten Tag,</p><p>wir brauchen für den <b>Rollenantrieb Typ 40</b> folgende Ersatzteile:</p>"
        "<table border=1><tr><th>Teil</th><th>Menge</th></tr><tr><td>Zahnriemen 40-110</td><td>4</td></tr>"
        "<tr><td>Kugellager 6204</td><td>8</td></tr></table><p>Mit freundlichen Grüßen<br>Sabine Wulf</p>"
        '<p><img src="cid:logo@papierfabrik" alt="Papierfabrik Wendland" width="160" height="60"></p>',
        subtype="html",
    )
    html = message.get_payload()[1]  # type: ignore[index]  # the alternative just added
    html.add_related(png(160, 60), "image", "png", cid="<logo@papierfabrik>")  # type: ignore[union-attr]


def as_form(message: EmailMessage) -> None:
    """What a web shop's contact form sends: From its own address, Reply-To the visitor."""
    message["Reply-To"] = '"Petra Hofmann" <p.hofmann@recyclinghof-elbmarsch.example>'


def as_out_of_office(message: EmailMessage) -> None:
    """RFC 3834 §3.1.7."""
    message["Auto-Submitted"] = "auto-replied"
    message["X-Auto-Response-Suppress"] = "All"


def as_newsletter(message: EmailMessage) -> None:
    """List headers and remote pictures."""
    message["List-Id"] = "Fördertechnik aktuell <news.foerdertechnik-aktuell.example>"
    message["List-Unsubscribe"] = "<https://foerdertechnik-aktuell.example/abmelden>"
    message["Precedence"] = "bulk"
    message.add_alternative(NEWSLETTER_HTML, subtype="html")


def bounce(at: Situation) -> bytes | None:
    """A delivery status notification (RFC 3464) for the newest mail that we sent to this customer."""
    if at.newest is None:
        return None
    ours = message_from_bytes(at.newest, policy=policy.default)
    return "\r\n".join((
        "From: Mail Delivery System <MAILER-DAEMON@mx.nordsee-fisch.example>", f"To: {ours['From']}",
        "Subject: Undelivered Mail Returned to Sender", f"Date: {format_datetime(at.now)}",
        f"Message-ID: <{at.now:%Y%m%d%H%M%S}.dsn@mx.nordsee-fisch.example>", "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0", 'Content-Type: multipart/report; report-type=delivery-status; boundary="=_dsn"', "",
        "--=_dsn", "Content-Type: text/plain; charset=utf-8", "",
        "Your message could not be delivered: the mailbox is full (552 5.2.2).", "",
        "--=_dsn", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.nordsee-fisch.example", "",
        "Final-Recipient: rfc822; technik@nordsee-fisch.example", "Action: failed", "Status: 5.2.2",
        "Diagnostic-Code: smtp; 552 5.2.2 Mailbox full", "",
        "--=_dsn", "Content-Type: text/rfc822-headers", "", f"Message-ID: {ours['Message-ID']}", f"Subject: {ours['Subject']}",
        "", "--=_dsn--", "",
    )).encode()  # fmt: skip


def broken(at: Situation) -> bytes:
    """A mail no standard allows: two content types, an unknown charset, a boundary that never comes."""
    return (
        "From: Walzlager Direkt <vertrieb@walzlager-direkt.example>\r\nTo: info@brandis.example\r\n"
        "Subject: Preisliste 2027 (final)\r\n"
        f"Date: {format_datetime(at.now)}\r\nMessage-ID: <preise-{at.now:%H%M%S}@walzlager-direkt.example>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="--=_b7"\r\nContent-Type: text/html\r\n\r\n'
        "----=_b7\r\nContent-Type: text/plain; charset=x-unknown-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "UHJlaXNsaXN0ZSBm/HIgMjAyNyBmb2xndCA=!!!\r\n"
    ).encode()


def unreadable(_at: Situation) -> bytes:
    """More header fields than any mail has: it goes to quarantine, with its bytes."""
    return (
        b"From: relay@kaputt.example\r\nTo: info@brandis.example\r\n"
        + b"X-Loop-Trace: relay\r\n" * 60_000
        + b"\r\nText\r\n"
    )


SAMPLES = (
    changed(FIRST_REPORT, with_plate),
    plain(ORDER_QUESTION),
    changed(CONTACT_FORM, as_form),
    changed(DRAWING, with_drawing),
    changed(NEWSLETTER, as_newsletter),
    reply(Letter("Carsten Meinhold", FIRST_REPORT.address, SERVICE, "", "Nachtrag: Der Schaltschrank ist jetzt stromlos, Sie können jederzeit kommen.")),
    changed(OUT_OF_OFFICE, as_out_of_office),
    changed(
        Letter("Sabine Wulf", "s.wulf@papierfabrik-wendland.example", SERVICE, "Ersatzteilliste Rollenantrieb Typ 40", "Guten Tag,\n\nbitte liefern Sie vier Zahnriemen 40-110 und acht Kugellager 6204.\n\nSabine Wulf"),
        with_logo,
    ),
    plain(Letter("Technik Nordsee-Fisch", "technik@nordsee-fisch.example", SALES, "Wartungsvertrag 2027: Angebot erbeten", "Guten Tag,\n\nunser Wartungsvertrag läuft zum 31.12. aus. Bitte senden Sie uns ein Angebot für 2027, wieder mit 24-Stunden-Bereitschaft.\n\nMit freundlichen Grüßen\nNordsee-Fischverarbeitungsgesellschaft mbH")),
    Sample("broken", "vertrieb@walzlager-direkt.example", INFO, broken),
    plain(Letter("Jan Thomsen", "j.thomsen@baeckerei-thomsen.example", INFO, "Gutschrift für Fehllieferung LS-2026-0902", "Moin,\n\nmit dem Lieferschein LS-2026-0902 kamen zwei Transportrollen zu wenig an. Bitte schreiben Sie uns den Betrag gut.\n\nGruß\nJan Thomsen")),
    Sample("bounce", "technik@nordsee-fisch.example", SALES, bounce),
    Sample("unreadable", "relay@kaputt.example", INFO, unreadable),
    reply(Letter("Disposition HGL", ORDER_QUESTION.address, SALES, "", "Vielen Dank für die schnelle Rückmeldung. Die KW 50 wäre für uns auch noch möglich.")),
)  # fmt: skip
# Replies wait this long for the automatic answer they answer before they are skipped.
PATIENCE = timedelta(seconds=90)
