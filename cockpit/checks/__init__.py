"""Wrong settings as findings of ``manage.py check``, each with what to do about it.

Those that need the database run with ``manage.py check --database default``, those for servers with
``--deploy``.
"""

from cockpit.checks import databases, deployment, environment

__all__ = ["databases", "deployment", "environment"]
