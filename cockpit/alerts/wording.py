"""Every alert in words: what happened, why, what to do; and the mail that tells of several at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cockpit.models import Alert
from mailaccounts import diagnosis
from ui import formatting

Kind = Alert.Kind

NAMED_IN_SUBJECT = 3


@dataclass(frozen=True, slots=True)
class Words:
    """Translated: what happened, why, what to do."""

    title: str
    cause: str
    remedy: str


Text = tuple["str | Promise", "str | Promise", "str | Promise"]

_UNWATCHED: Text = (
    gettext_lazy("Nobody looks for trouble"),
    gettext_lazy("The task that looks each minute has not come to its end for a while."),
    gettext_lazy("Look at the worker's log; start beat again if it is older than this version."),
)
_TEXTS: dict[str, Text] = {
    Kind.LATE: (
        gettext_lazy("No poll succeeds"),
        gettext_lazy(
            "The account is due again and again, but no poll comes to its end: too few workers, or a fault "
            "of database or disk."
        ),
        gettext_lazy("Look whether the workers run and what they log; /healthz tells how much waits."),
    ),
    Kind.UNDELIVERED: (
        gettext_lazy("E-mails are not delivered"),
        gettext_lazy(
            "They should have left long ago; servers ask to come back later, or no worker delivers."
        ),
        gettext_lazy("The outbox tells what the server answered to each, and when it is tried again."),
    ),
    Kind.UNSETTLED: (
        gettext_lazy("E-mails failed, or may not have arrived"),
        gettext_lazy("Their servers refused them, or the connection broke at the last moment."),
        gettext_lazy("Decide in the outbox: send again, mark as arrived or as done."),
    ),
    Kind.QUARANTINE: (
        gettext_lazy("E-mails wait in quarantine"),
        gettext_lazy("They could not be processed; each original is kept unchanged."),
        gettext_lazy("Open the quarantine: it names cause and remedy of each."),
    ),
    Kind.BACKLOG: (
        gettext_lazy("Many e-mails are still to be read in"),
        gettext_lazy(
            "An hour of polling has not worked them off; the first import of a big mailbox does so."
        ),
        gettext_lazy("It goes on by itself. If the number does not fall, more workers help."),
    ),
    Kind.WATCHER: (
        gettext_lazy("The watcher gives no sign of life"),
        gettext_lazy(
            "The process that waits for e-mails has ended or hangs. Polling goes on, so e-mails arrive up to "
            "a poll interval later."
        ),
        gettext_lazy("Start it again: manage.py watch_mailboxes, or the service named watcher."),
    ),
    Kind.WORKER: (
        gettext_lazy("Background work stands still"),
        gettext_lazy(
            "No worker has given a sign of life: worker, beat or broker is down. Nothing is fetched or sent, "
            "and no alert can be mailed."
        ),
        gettext_lazy("Start worker and beat again and look at their logs. Nothing is lost."),
    ),
}


def words_of(alert: Alert) -> Words:
    """The alert in the active language."""
    code = str(alert.params.get("code", ""))
    if code:
        told = diagnosis.explain(code, host=str(alert.params.get("host", "")))
        what = f"{alert.get_kind_display()}: {told.title.removesuffix('.')}"
        return Words(what, f"{told.cause} {_calm(alert)}", told.remedy)
    is_unwatched = alert.params.get("reason") == "unwatched"
    title, cause, remedy = _UNWATCHED if is_unwatched else _TEXTS[alert.kind]
    return Words(_counted(str(title), alert), str(cause), str(remedy))


def _calm(alert: Alert) -> str:
    if alert.params.get("reason") == "paused" and alert.kind == Kind.POLLING:
        return _("Polling is paused until the settings are put right; the e-mails wait on the server.")
    if alert.kind == Kind.POLLING:
        return _("The e-mails wait on the server, and it is tried again by itself.")
    if alert.kind == Kind.TOKEN:
        return _("Until then e-mails are fetched and sent; afterwards they wait, and nothing is lost.")
    return _("Outgoing e-mails wait here; nothing is lost.")


def _counted(title: str, alert: Alert) -> str:
    count = alert.params.get("count")
    return f"{title} ({formatting.number(int(count))})" if count else title


def path_of(alert: Alert) -> str:
    """The page where something can be done about it; "" where no page helps."""
    if alert.kind == Kind.QUARANTINE:
        return f"{reverse('inbound:quarantine')}?account={alert.account_id}"
    if alert.kind in {Kind.UNDELIVERED, Kind.UNSETTLED}:
        state = "open" if alert.kind == Kind.UNDELIVERED else "failed"
        return f"{reverse('outbound:list')}?state={state}&account={alert.account_id}"
    if alert.account is None or alert.kind in {Kind.BACKLOG, Kind.LATE}:
        return ""
    return alert.account.get_absolute_url()


def subject(firm: str, opened: Sequence[Alert], reminders: Sequence[Alert], cleared: Sequence[Alert]) -> str:
    """Subject of one mail: the worst news first."""
    line = _news(opened or reminders, is_reminder=not opened) if opened or reminders else _good_news(cleared)
    return f"[{firm}] {line}" if firm else line


def _news(alerts: Sequence[Alert], *, is_reminder: bool) -> str:
    names = _names(alerts)
    if not names:
        title = words_of(alerts[0]).title
        return _("Reminder: %(title)s") % {"title": title} if is_reminder else title
    count = len({alert.account_id for alert in alerts if alert.account_id})
    if is_reminder:
        text = ngettext(
            "Reminder: %(count)s mailbox still needs help: %(names)s",
            "Reminder: %(count)s mailboxes still need help: %(names)s",
            count,
        )
    else:
        text = ngettext(
            "%(count)s mailbox needs help: %(names)s", "%(count)s mailboxes need help: %(names)s", count
        )
    return text % {"count": formatting.number(count), "names": names}


def _good_news(alerts: Sequence[Alert]) -> str:
    names = _names(alerts)
    if not names:
        return _("All clear: %(title)s – over") % {"title": words_of(alerts[0]).title}
    return _("All clear: %(names)s") % {"names": names}


def _names(alerts: Iterable[Alert]) -> str:
    """Addresses of the accounts, the first few by name."""
    names = list(dict.fromkeys(alert.account.email for alert in alerts if alert.account))
    return listed(names, NAMED_IN_SUBJECT)


def listed(names: Sequence[str], shown: int) -> str:
    """The first ``shown`` names, and how many more there are."""
    text, rest = ", ".join(names[:shown]), len(names) - shown
    if rest <= 0:
        return text
    more = ngettext("and %(count)s more", "and %(count)s more", rest) % {"count": formatting.number(rest)}
    return f"{text} {more}"


def text(opened: Sequence[Alert], reminders: Sequence[Alert], cleared: Sequence[Alert]) -> str:
    """Body of one mail in the active language."""
    parts = [
        *_section(_("This needs attention:"), opened),
        *_section(_("This still lasts:"), reminders),
        *_over(cleared),
        _link(_("All alerts, and a button that stops reminders:"), reverse("cockpit:alerts")),
        _("This message was written by the system."),
    ]
    return "\n\n".join(parts) + "\n"


def _section(heading: str, alerts: Sequence[Alert]) -> list[str]:
    """Alerts of the same cause share one paragraph: an outage of a provider is one cause."""
    groups: dict[Words, list[Alert]] = {}
    for alert in alerts:
        groups.setdefault(words_of(alert), []).append(alert)
    paragraphs = [_paragraph(words, group) for words, group in groups.items()]
    return [heading, *paragraphs] if paragraphs else []


def _paragraph(words: Words, alerts: Sequence[Alert]) -> str:
    lines = [words.title]
    lines += [line for alert in alerts for line in _lines(alert)]
    cause = _("Cause: %(text)s") % {"text": words.cause}
    remedy = _("What to do: %(text)s") % {"text": words.remedy}
    return "\n".join([*lines, cause, remedy])


def _lines(alert: Alert) -> list[str]:
    since = _("since %(time)s") % {"time": formatting.full_time(alert.since)}
    lines = [f"* {subject_of(alert)} – {since}"]
    path = path_of(alert)
    if settings.BASE_URL and path:
        lines.append(f"  {absolute(path)}")
    return lines


def subject_of(alert: Alert) -> str:
    """Whom it is about: "Info <info@firma.de>", or the installation."""
    if alert.account is None:
        return _("This installation")
    return f"{alert.account.display_name} <{alert.account.email}>"


def _over(alerts: Sequence[Alert]) -> list[str]:
    if not alerts:
        return []
    lines = [
        _("* %(who)s: %(title)s – from %(since)s until %(until)s")
        % {
            "who": subject_of(alert),
            "title": words_of(alert).title,
            "since": formatting.full_time(alert.since),
            "until": formatting.full_time(alert.clear_since),
        }
        for alert in alerts
    ]
    return [_("This is over:"), "\n".join(lines)]


def _link(label: str, path: str) -> str:
    if settings.BASE_URL:
        return f"{label}\n{absolute(path)}"
    return _("All alerts stand on the start page under “Alerts”.")


def absolute(path: str) -> str:
    """The page's address for a mail."""
    return f"{settings.BASE_URL.rstrip('/')}{path}"
