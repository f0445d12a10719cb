"""Typed clients of the platform's own services, over the network or within one process."""
