"""What the ledger of incoming mail, a room above, knows of the mails an option would bring in or delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from mailaccounts.models import MailAccount


def _none_after(_account: MailAccount, _from_date: date | None) -> int:
    return 0


def _none(_account: MailAccount) -> int:
    return 0


@dataclass(slots=True)
class Backlog:
    """Filled in by inbound; without it nothing was excluded and nothing can be deleted.

    ``count_excluded``: mails excluded so far that a "from date" would let in; ``reopen`` lets the next poll
    fetch them (in the transaction that saves the options); ``count_deletable``: imported mails that still lie
    on the server.
    """

    count_excluded: Callable[[MailAccount, date | None], int] = _none_after
    reopen: Callable[[MailAccount, date | None], int] = _none_after
    count_deletable: Callable[[MailAccount], int] = _none

    def register(
        self,
        *,
        count_excluded: Callable[[MailAccount, date | None], int],
        reopen: Callable[[MailAccount, date | None], int],
        count_deletable: Callable[[MailAccount], int],
    ) -> None:
        """Name the functions that answer."""
        self.count_excluded, self.reopen = count_excluded, reopen
        self.count_deletable = count_deletable


backlog = Backlog()
