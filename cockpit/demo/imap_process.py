"""The IMAP side of the demo server (pymap) as a process that ends with its parent.

Run as ``python -m cockpit.demo.imap_process PORT MAILDIRS CERTIFICATES``; standard input is the life line.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from pymap.main import main


def end_with_parent() -> None:
    """End the process when the other end of standard input is gone, however the parent ended."""
    while os.read(0, 1):  # unbuffered: a thread that holds the buffer's lock would break the exit
        pass
    os._exit(0)


if __name__ == "__main__":
    port, maildirs, certificates = sys.argv[1:]
    logging.basicConfig(level=logging.CRITICAL)
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.argv = [
        "pymap", "--host", "127.0.0.1", "--port", port,
        "--cert", f"{certificates}/server.pem", "--key", f"{certificates}/server.key",
        "maildir", maildirs,
    ]  # fmt: skip
    main()
