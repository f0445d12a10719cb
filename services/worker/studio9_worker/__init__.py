"""The worker: slots on one machine, each attempt under a shim of its own, inputs staged and outputs taken."""
