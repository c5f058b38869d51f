"""Leases, heartbeats and the identity of this installation: what background work needs to be safe."""
