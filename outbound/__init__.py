"""Outgoing mail: choose the account, compose, queue, deliver, copy to Sent."""
