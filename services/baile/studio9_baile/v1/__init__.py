"""The platform API, `/v1`."""
