"""Accounts, credentials, connections, tests and health."""
