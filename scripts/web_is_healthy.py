"""Exit status 0 while the web process on this machine answers and reaches the database.

The container's health check. ``/healthz`` also speaks of broker and worker; their failure must not take the
web process out of service, so it is left to monitoring. Asks as the proxy would: with an allowed host name.
"""

from __future__ import annotations

import http.client
import json
import os
import sys

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
SECONDS = 8


def host() -> str:
    """A name this installation answers to."""
    first = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    return first if first not in {"", "*"} else "localhost"


def main() -> int:
    """Ask, and say why it is not well."""
    link = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
    try:
        link.request("GET", "/healthz", headers={"Host": host(), "X-Forwarded-Proto": "https"})
        answer = link.getresponse()
        database = json.loads(answer.read())["database"]
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        print(f"no answer from /healthz: {error!r}")
        return 1
    print(f"database {database}")
    return 0 if database == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
