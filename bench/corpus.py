"""Mailboxes filled with the corpus of the design, known to Dovecot already."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Dovecot, MailUser

ROOT = Path(__file__).resolve().parent.parent
CORPUS_SCRIPT = Path(
    os.environ.get("BENCH_CORPUS_SCRIPT") or ROOT.parent / "shared" / "bench" / "make_mail.py"
)


@dataclass(frozen=True)
class Source:
    """A mailbox, and what is in it: ``manifest`` says what an importer has to find."""

    server: Dovecot
    user: MailUser
    count: int
    manifest: Path


def fill(server: Dovecot, folder: Path, count: int, seed: int = 1) -> Source:
    """A mailbox with ``count`` mails; other seeds make other mails."""
    if not CORPUS_SCRIPT.exists():
        sys.exit(f"The mail generator {CORPUS_SCRIPT} is missing: name it in BENCH_CORPUS_SCRIPT.")
    user = server.new_user()
    manifest = folder / f"{user.username}.jsonl"
    maildir = server.maildir(user)
    maildir.parent.mkdir(parents=True)
    subprocess.run(
        [
            sys.executable, CORPUS_SCRIPT, "--count", str(count), "--seed", str(seed), "--path", maildir,
            "--manifest", manifest,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    if os.geteuid() == 0:
        for path in (maildir.parent, *maildir.parent.rglob("*")):
            shutil.chown(path, 65534, 65534)
    return Source(server, user, count, manifest)
