"""What came of a scenario, checked from outside; outcomes of one kind add up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``faults``: what was injected, in order; ``findings``: sentences about what did not hold.

    ``done``: mails that count towards the wanted number of runs.
    """

    faults: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    done: int = 0
    lost: int = 0
    duplicated: int = 0

    def __add__(self, other: Self) -> Self:
        values: dict[str, Any] = {
            one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)
        }
        return type(self)(**values)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled or touched, and nothing else was found."""
        return not (self.findings or self.lost or self.duplicated)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOutcome(Outcome):
    """Mails by what became of them. ``foreign``: mails of others, or their flags, that were touched."""

    foreign: int = 0

    @property
    def holds(self) -> bool:
        return not (self.findings or self.lost or self.duplicated or self.foreign)

    def __str__(self) -> str:
        return f"imports {self.done} lost {self.lost} duplicated {self.duplicated} foreign {self.foreign}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome(Outcome):
    """Rows of the outbox by what became of them.

    ``uncertain``: rows that ended so; ``injected``: faults between the final dot and the record of its reply,
    of which each may cost the certainty about one row.
    """

    uncertain: int = 0
    injected: int = 0

    @property
    def holds(self) -> bool:
        return not (self.findings or self.lost or self.duplicated or self.uncertain > self.injected)

    def __str__(self) -> str:
        return (
            f"sends {self.done} lost {self.lost} duplicated {self.duplicated} "
            f"uncertain {self.uncertain} of {self.injected}"
        )


KINDS: Final[dict[str, type[Outcome]]] = {"imports": ImportOutcome, "sends": SendOutcome}
