"""A provider that the application takes for Google, and accounts connected with it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailaccounts import oauth_consent
from mailaccounts.models import MailAccount
from mailaccounts.oauth_models import OAuthToken
from mailaccounts.oauth_providers import PROVIDERS
from tests.server_oauth import REDIRECT_URI, OAuthServer
from tests.servers import Dovecot

SESSION = "session-of-the-user"
_ASKS_THE_PROVIDER = """
introspection_mode = auth
introspection_url = http://127.0.0.1:{port}/introspect
username_attribute = email
active_attribute = active
active_value = true
"""


@pytest.fixture
def oauth_server(db, settings, monkeypatch, authority, server_certificate, mail_administrator):
    """The provider ``google``, with this installation registered."""
    settings.MAIL_CA_FILE = authority.ca_file
    with OAuthServer(server_certificate) as server:
        monkeypatch.setitem(PROVIDERS, "google", server.provider)
        oauth_consent.register_client(
            provider="google", client_id=server.client_id, secret=server.client_secret, by=mail_administrator
        )
        yield server


@pytest.fixture
def connect(oauth_server, mail_administrator):
    """Connect an account with the provider, as its own address unless told otherwise."""

    def connect_account(account: MailAccount, identity: str = "") -> OAuthToken:
        oauth_server.identity = identity or account.email
        url = oauth_consent.begin_authorisation(
            account=account, provider="google", user=mail_administrator, session_key=SESSION,
            redirect_uri=REDIRECT_URI,
        )  # fmt: skip
        back = oauth_server.consent(url)
        return oauth_consent.complete_authorisation(**back, user=mail_administrator, session_key=SESSION)

    return connect_account


@pytest.fixture
def oauth_dovecot(oauth_server, server_certificate) -> Iterator[Dovecot]:
    """A Dovecot that takes the provider's tokens by XOAUTH2 and OAUTHBEARER."""
    folder = Path(tempfile.mkdtemp(prefix="oauth-", dir="/tmp"))
    folder.chmod(0o755)
    file = folder / "oauth2.conf"
    file.write_text(_ASKS_THE_PROVIDER.format(port=oauth_server.plain_port))
    file.chmod(0o644)
    passdb = f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {file}\n}}\n"
    with Dovecot(server_certificate, auth_mechanisms="plain xoauth2 oauthbearer", extra=passdb) as server:
        yield server
    shutil.rmtree(folder)
