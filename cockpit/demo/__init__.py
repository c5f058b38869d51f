"""The demo: a company, its customers, and a mail server of their own on loopback."""
