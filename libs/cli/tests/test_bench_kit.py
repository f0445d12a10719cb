"""What benches measure processes with, and where the peers' environment comes from."""

import http.server
import os
import signal
import subprocess
import sys

from studio9_cli import locks, project
from studio9_cli.bench.kit.usage import server_pid, total, usage

BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); time.sleep(60)"


def test_usage_counts_a_process_and_its_children() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = usage(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
    assert 0.25 < found.cpu_s < 5 and found.mib > 5
    assert total([process.pid]).cpu_s == 0.0  # it is gone


def test_a_server_is_found_by_the_port_it_listens_at() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        assert server_pid(url) == os.getpid()
    assert server_pid(url) is None
    assert server_pid("http://nowhere/") is None


def test_celery_is_the_benches_own() -> None:
    lock = (project.root() / "requirements" / "bench.lock").read_text(encoding="utf-8")
    assert "\ncelery==" in lock and "celery" not in " ".join(locks.requirements("platform"))
