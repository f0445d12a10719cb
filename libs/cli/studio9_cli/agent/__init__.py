"""The worker's agent on this machine, as `studio9 worker` starts, asks and stops it."""
