"""The mailboxes of the demo server: Maildirs that the SMTP side fills and the IMAP side serves."""

from __future__ import annotations

import mailbox
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pysasl.hashing import BuiltinHash

FOLDERS = ("Sent", "Archive", "Trash")
# The demo's passwords are printed on the screen; a slow hash would only slow every poll.
_HASH = BuiltinHash(rounds=10)


@dataclass(frozen=True, slots=True)
class DemoMailboxes:
    """All mailboxes below one folder."""

    root: Path

    def create(self, passwords: dict[str, str]) -> None:
        """Create a mailbox for each address of ``passwords`` and write the server's user files (0600)."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for address in passwords:
            box = mailbox.Maildir(self.path(address), create=True)
            for folder in set(FOLDERS) - set(box.list_folders()):
                box.add_folder(folder)
        self._write("pymap-etc-passwd", "".join(f"{name}:x::::{name}:\n" for name in passwords))
        self._write(
            "pymap-etc-shadow",
            "".join(f"{name}:{_HASH.hash(word)}:::::::\n" for name, word in passwords.items()),
        )

    def path(self, address: str) -> Path:
        """Folder of the mailbox, named like its address."""
        return self.root / address.lower()

    def exists(self, address: str) -> bool:
        """Whether mail to ``address`` can be delivered here; a +tag is ignored."""
        return self.path(without_tag(address)).is_dir()

    def deliver(self, address: str, raw: bytes, *, received_from: str = "demo") -> None:
        """Put a mail into INBOX, with the headers a delivering server adds (RFC 5321 §4.4)."""
        date = time.strftime("%a, %d %b %Y %H:%M:%S %z")
        received = f"Received: from {received_from} by mail.demo.example with ESMTP; {date}"
        box = mailbox.Maildir(self.path(without_tag(address)), create=False)
        # As bytes: a message object would be parsed and written anew, broken samples mended.
        box.add(f"Delivered-To: {address}\r\n{received}\r\n".encode() + raw)

    def messages(self, address: str, folder: str = "INBOX") -> Iterator[tuple[str, bytes]]:
        """Key and bytes of each mail of a folder, newest first."""
        box: mailbox.Maildir = mailbox.Maildir(self.path(address), create=False)
        if folder != "INBOX":
            box = box.get_folder(folder)
        for key in sorted(box.keys(), reverse=True):
            yield key, box.get_bytes(key)

    def _write(self, name: str, content: str) -> None:
        target = self.root / name
        target.touch(mode=0o600)
        target.write_text(content)


def without_tag(address: str) -> str:
    """``name+tag@domain`` → ``name@domain``."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
