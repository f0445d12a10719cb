"""The streams port: Taurus' queues and notification topics."""
