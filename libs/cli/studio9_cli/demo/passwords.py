"""Passwords for users that commands make."""

import secrets


def new_password() -> str:
    """96 random bits in a form that keeps to Baile's rules, whatever the bits: no character three times in a row."""
    return "Aa1-" + "-".join(secrets.token_hex(1) for _ in range(12))
