import base64
import hashlib
import json
import re
import stat
from pathlib import Path

import pytest

from studio9_cli.deployment import BROKER_USERS, MEMBERS, SecretsExist, write_secrets
from studio9_common.bus.port import DELAYS_S
from studio9_common.bus.rabbitmq import topology
from studio9_common.bus.rabbitmq.users import password_hash


def test_passwords_are_hashed_as_the_broker_checks_them() -> None:
    stored = base64.b64decode(password_hash("open sesame", b"\x01\x02\x03\x04"))
    assert stored[:4] == b"\x01\x02\x03\x04"
    assert stored[4:] == hashlib.sha256(b"\x01\x02\x03\x04open sesame").digest()


def test_secrets_are_random_and_never_overwritten(tmp_path: Path) -> None:
    written = write_secrets(tmp_path / "a")
    again = write_secrets(tmp_path / "b")
    values = [dict(line.split("=", 1) for line in files[0].read_text().splitlines()) for files in (written, again)]
    assert not set(values[0].values()) & set(values[1].values())
    environment, definitions = written
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    assert stat.S_IMODE(definitions.stat().st_mode) == 0o644, "the broker's own user reads it"
    assert not any(value in definitions.read_text() for name, value in values[0].items() if "BROKER" in name)
    with pytest.raises(SecretsExist):
        write_secrets(tmp_path / "a")


def test_a_worker_may_say_three_things_and_touch_its_own_queue(tmp_path: Path) -> None:
    definitions = json.loads(write_secrets(tmp_path)[1].read_text())
    assert {user["name"] for user in definitions["users"] if not user["tags"]} == set(BROKER_USERS)
    (worker,) = (one for one in definitions["permissions"] if one["user"] == "worker")
    assert re.match(worker["read"], "worker.01.v1")
    assert not re.match(worker["read"], "orion.requests.v1")
    (topic,) = definitions["topic_permissions"]
    assert re.match(topic["write"], "worker.beat.01")
    assert re.match(topic["write"], "worker.beat")
    assert not re.match(topic["write"], "worker.beats")
    assert not re.match(topic["write"], "job.requested")
    assert not re.match(topic["write"], "worker.run.01")
    assert re.match(topic["read"], "config.changed")
    assert not re.match(topic["read"], "job.requested")


def test_who_makes_users_reaches_no_queue(tmp_path: Path) -> None:
    definitions = json.loads(write_secrets(tmp_path)[1].read_text())
    (administrator,) = (user for user in definitions["users"] if user["tags"])
    assert (administrator["name"], administrator["tags"]) == (MEMBERS, ["administrator"])
    assert all(one["user"] != MEMBERS for name in ("permissions", "topic_permissions") for one in definitions[name])


def test_dead_letters_are_read_by_orion_alone(tmp_path: Path) -> None:
    permissions = json.loads(write_secrets(tmp_path)[1].read_text())["permissions"]
    for queue in (topology.DEAD_QUEUE, topology.LOST_QUEUE):
        assert [one["user"] for one in permissions if re.match(one["read"], queue)] == ["orion"]
    exchanges = (topology.EXCHANGE, topology.RETURN, topology.REPLAY, topology.DEAD, topology.LOST)
    rungs = [name(rung) for rung in DELAYS_S for name in (topology.delay_exchange, topology.delay_queue)]
    for one in permissions:
        assert all(re.match(one["read"], name) for name in (*exchanges, *rungs)), one["user"]
