"""Discover, fetch, store, decide, import, answer: the ledger that adds up."""
