"""The secrets of a compose deployment: random, one broker user per service, written once.

`.env`, for its owner only, holds what `deploy/compose/compose.yaml` refers to; `rabbitmq/definitions.json` the broker's
users (hashed as RabbitMQ stores them: SHA-256 over a 4-byte salt and the password) with what each may touch. The broker
reads that file as a user of its own, so everybody may; 24 random bytes cannot be found from their hash.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet

from studio9_cli.platform.state import write_private
from studio9_common.bus.rabbitmq.users import PASSWORD_HASHING, WORKER_MAY_PUBLISH, password_hash
from studio9_common.errors import Conflict
from studio9_common.tokens import TokenKeys

BROKER_USERS = ("baile", "orion", "argo", "taurus", "pegasus", "worker")
"""The services that speak on the bus. Aries does not."""

MEMBERS = "members"
"""The broker's administrator with whom Orion makes the users of machines that join; it reaches no queue itself."""
WORKER_MAY_HEAR = r"^(worker\.|config\.changed$)"
"""What it may bind its own queues to: its commands, and which setting has changed (never the value)."""
MAY_READ = r"studio9(\.(return|replay|dead|lost|delay\.\d+(\.v1)?))?$"
"""Of the platform's own exchanges and queues, what a service must read to bind and declare. The queues of what was
given up are not among them: dead letters hold every organisation's messages, and are for Orion, whose operators look
at them."""


class SecretsExist(Conflict):
    """There are secrets in this folder already; a running deployment depends on them. Use another folder."""


def broker_definitions(
    passwords: Mapping[str, str], vhost: str = "studio9", *, prefix: str = "", administrator: str | None = None
) -> dict[str, list[dict[str, object]]]:
    """Users, permissions, topic permissions for `passwords` by service; a user is called prefix + service.

    A service touches the platform's exchanges and its own queues. `administrator` is the password of MEMBERS, if any.
    """
    permissions: list[dict[str, object]] = []
    for service in passwords:
        own = rf"^(studio9($|\.)|{service}\.)"
        read = own if service == "orion" else rf"^({MAY_READ}|{service}\.)"
        permissions.append({"user": prefix + service, "vhost": vhost, "configure": own, "write": own, "read": read})
    worker: dict[str, object] = {
        "vhost": vhost,
        "exchange": "studio9",
        "write": WORKER_MAY_PUBLISH,
        "read": WORKER_MAY_HEAR,
    }
    users = [_user(prefix + service, password) for service, password in passwords.items()]
    if administrator is not None:
        users.append(_user(prefix + MEMBERS, administrator, "administrator"))
    return {
        "vhosts": [{"name": vhost, "default_queue_type": "quorum"}],
        "users": users,
        "permissions": permissions,
        "topic_permissions": [{"user": f"{prefix}worker", **worker}],
    }


def _user(name: str, password: str, *tags: str) -> dict[str, object]:
    return {
        "name": name,
        "password_hash": password_hash(password, os.urandom(4)),
        "hashing_algorithm": PASSWORD_HASHING,
        "tags": list(tags),
    }


def write_secrets(folder: Path) -> list[Path]:
    """Writes `.env` and the broker's definitions; returns the files. Raises SecretsExist."""
    environment, definitions = folder / ".env", folder / "rabbitmq" / "definitions.json"
    for file in (environment, definitions):
        if file.exists():
            raise SecretsExist(field="out", value=file)
    broker = {user: secrets.token_urlsafe(24) for user in BROKER_USERS}
    values = {f"{user.upper()}_BROKER_PASSWORD": password for user, password in broker.items()}
    values[f"{MEMBERS.upper()}_BROKER_PASSWORD"] = administrator = secrets.token_urlsafe(24)
    for name in ("ELASTIC", "POSTGRES", "OBJECTS_ROOT"):
        values[f"{name}_PASSWORD"] = secrets.token_urlsafe(24)
    values["TOKEN_KEYS"] = TokenKeys.generate()
    values["USER_KEYS"] = TokenKeys.generate()
    values["SECRET_KEYS"] = Fernet.generate_key().decode()
    write_private(definitions, json.dumps(broker_definitions(broker, administrator=administrator), indent=1))
    definitions.chmod(0o644)
    write_private(environment, "".join(f"{name}={value}\n" for name, value in values.items()))
    return [environment, definitions]
