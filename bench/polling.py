"""P5: a thousand idle accounts over TLS, nothing new, against IMAPClient as people use it."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from bench import databases
from bench.processes import step
from bench.table import Result, Row
from tests.certificates import CertificateAuthority
from tests.servers import Dovecot

MODULE = "bench.poller"
PLAIN_ACCOUNTS = 50
# Neither Dovecot's limits nor a process a login is to be measured: its "high-performance mode" for logins,
# and IMAP processes that serve one connection after the other.
_DOVECOT = """
service imap-login {
  process_min_avail = 2
  client_limit = 1000
}
service imap {
  service_count = 1000
  process_min_avail = 4
  process_limit = 2000
}
service auth {
  client_limit = 4000
}
"""


def measure(folder: Path, base: str, *, count: int, rounds: int) -> Result:
    """Let both take turns: all ``count`` accounts by us, 50 of them by IMAPClient."""
    url = f"{base}bench_poll"
    authority = CertificateAuthority(folder)
    with Dovecot(authority.issue(), extra=_DOVECOT) as server:
        surroundings = {
            "DATABASE_URL": url,
            "MAIL_CA_FILE": authority.ca_file,
            "BENCH_PASSWORD": server.password,
        }
        databases.create(url)
        port = str(server.tls_port)
        step(MODULE, "prepare", "--count", str(count), "--port", port, **surroundings)
        turns = []
        for number in range(rounds):
            plain = step(MODULE, "plain", "--count", str(PLAIN_ACCOUNTS), "--port", port, **surroundings)
            ours = step(MODULE, "check", **surroundings)
            turns.append((ours, plain))
            print(f"round {number + 1}: {_describe(ours, plain)}", flush=True)
    return _result(turns)


def _describe(ours: dict[str, Any], plain: dict[str, Any]) -> str:
    return (
        f"{ours['count']} accounts in {ours['seconds']:.1f} s ({ours['cpu']:.1f} s own CPU), "
        f"{ours['wrong']} wrong; IMAPClient {plain['count']} in {plain['seconds']:.1f} s"
    )


def _result(turns: list[tuple[dict[str, Any], dict[str, Any]]]) -> Result:
    ours = [one["count"] / one["seconds"] for one, _ in turns]
    plain = [other["count"] / other["seconds"] for _, other in turns]
    ratio = median(rate / other for rate, other in zip(ours, plain, strict=True))
    wrong = sum(one["wrong"] for one, _ in turns)
    count = turns[0][0]["count"]
    figure = f"{count} idle accounts in {count / median(ours):.1f} s, {wrong} wrong"
    reference = f"IMAPClient {count / median(plain):.1f} s ({PLAIN_ACCOUNTS} measured)"
    return Result([Row("P5", figure, reference, f"{ratio:.1f}×", "≥ 10×", ratio >= 10 and wrong == 0)])
