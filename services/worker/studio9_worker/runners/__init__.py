"""How a task is run: a port with one adapter per way."""
