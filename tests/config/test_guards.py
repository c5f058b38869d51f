"""``make mutants`` removes guards one by one; its list names only what is there."""

from __future__ import annotations

import ast
from collections import Counter

from scripts.mutants import ROOT, Guard, read_guards

GUARDS = read_guards()
KINDS = {
    "lease", "instance", "unique key", "hash check", "hash chain", "phase", "sanitiser", "cap", "scoping",
    "joining", "SSRF", "TLS", "T7", "secrets", "injection", "CSRF", "CSP", "login", "sessions", "downloads",
    "audit",
}  # fmt: skip
ROOMS = {
    "mailkit", "jobs", "audit", "ui", "masterdata", "mailaccounts", "archive", "outbound", "tickets",
    "inbound", "cockpit", "config",
}  # fmt: skip


def problem(guard: Guard) -> str:
    """What is wrong with an entry, "" for nothing."""
    try:
        mutated = guard.mutated((ROOT / guard.file).read_text())
        if guard.file.endswith(".py"):
            ast.parse(mutated)
    except (OSError, ValueError, SyntaxError) as error:
        return f"{guard.name}: {error}"
    missing = [test for test in guard.tests if not exists(test)]
    return f"{guard.name}: no such test {missing}" if missing or not guard.tests else ""


def exists(test: str) -> bool:
    """Whether pytest would find it: file, classes, function, each inside the one before."""
    path, *names = test.split("::")
    inside: list[ast.stmt] = ast.parse((ROOT / path).read_text()).body
    for name in names:
        found = [node for node in inside if getattr(node, "name", "") == name.partition("[")[0]]
        if not found:
            return False
        inside = getattr(found[0], "body", [])
    return True


def test_every_guard_stands_where_the_list_says_once_and_its_tests_exist():
    assert [text for guard in GUARDS if (text := problem(guard))] == []


def test_names_are_given_once():
    assert [name for name, count in Counter(guard.name for guard in GUARDS).items() if count > 1] == []


def test_all_kinds_and_all_rooms_are_among_them():
    assert {guard.name.partition(":")[0] for guard in GUARDS} >= KINDS
    assert {guard.file.partition("/")[0] for guard in GUARDS} >= ROOMS


def test_a_list_that_rots_is_noticed():
    gone = Guard("lease: gone", "jobs/leases.py", "no such text", "", ["tests/jobs/test_leases.py"])
    assert "0 times" in problem(gone)
    broken = Guard("lease: broken", "jobs/leases.py", "def renew(lease", "def (lease", GUARDS[0].tests)
    assert "invalid syntax" in problem(broken)
    unproven = Guard(
        "lease: unproven",
        GUARDS[0].file,
        GUARDS[0].source,
        GUARDS[0].without,
        ["tests/jobs/test_leases.py::test_x"],
    )
    assert "no such test" in problem(unproven)
