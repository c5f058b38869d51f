"""Queues, tickets and their conversations."""
