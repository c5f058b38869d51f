"""IMAP servers that mean harm (B85 to B90), to be the account's server for one poll."""

from __future__ import annotations

from random import Random

from tests.stubs.scripted import ScriptedServer, imap_script, says


def choose(chance: Random, uid_validity: int) -> tuple[str, ScriptedServer]:
    """One of them, with its name; ``uid_validity`` is what the account knows already."""
    scripts = {
        "an impossible literal": imap_script(
            {b"UID FETCH": says(b"* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] {9999999999}\r\n")}
        ),
        "a negative literal": imap_script({b"UID FETCH": says(b"* 1 FETCH (UID 1 BODY[] {-1}\r\n")}),
        "an endless line": imap_script({b"UID SEARCH": says(b"* SEARCH " + b"1" * 6_000_000)}),
        "OK before the command": imap_script(greeting=b"* OK ready\r\n* 9 EXISTS\r\nA1 OK done\r\n"),
        "PREAUTH": imap_script(greeting=b"* PREAUTH come in\r\n"),
        "BYE with HTML": imap_script(greeting=b"* BYE <script>alert(1)</script>\r\n"),
        "impossible UIDs": imap_script(
            {
                b"EXAMINE": _opened(uid_validity),
                b"UID SEARCH": b"* SEARCH 0 5 3 4294967296 99999999999\r\n{tag} OK done\r\n",
                b"UID FETCH": b"* 1 FETCH (UID 77 RFC822.SIZE 9)\r\n{tag} OK done\r\n",
            }
        ),
        "an empty folder of the same name": imap_script(
            {b"EXAMINE": _opened(uid_validity, messages=0), b"UID SEARCH": b"* SEARCH\r\n{tag} OK done\r\n"}
        ),
    }
    name = chance.choice(list(scripts))
    return name, ScriptedServer(scripts[name])


def _opened(uid_validity: int, messages: int = 3) -> bytes:
    numbers = (messages, uid_validity)
    said = b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] ok\r\n* OK [UIDNEXT 4294967295] ok\r\n" % numbers
    return said + b"{tag} OK [READ-ONLY] done\r\n"
