"""How a machine becomes a worker, and stops being one: a one-time token, then a broker user and keys of its own."""
