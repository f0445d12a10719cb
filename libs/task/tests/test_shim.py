"""The shim with real processes: it must end what it should, leave nothing, and tell the truth about it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from studio9_task.exits import ExitRecord, task_state
from studio9_task.launch import LaunchError, launch, renew_lease, request_stop, shim_command
from studio9_task.layout import TaskFolder
from studio9_task.shim_files import MAX_STOP_GRACE_S, told_grace
from studio9_task.shim_task import Limits

FAST = Limits(poll_s=0.05, stop_grace_s=0.5)


def start(folder: TaskFolder, script: str, limits: Limits | None = None) -> None:
    launch(folder, [sys.executable, "-c", script], limits or FAST, {"PATH": os.environ["PATH"]})


def wait_for(condition: Callable[[], bool], within_s: float = 15) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def ended(folder: TaskFolder) -> ExitRecord:
    wait_for(lambda: task_state(folder).state == "ended")
    record = task_state(folder).record
    assert record is not None
    return record


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def written(folder: TaskFolder, name: str) -> int:
    """The number that the task writes to a file in its folder."""
    path = folder.root / name
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


SAY_PID = "import os;open('pid','w').write(f'{os.getpid()}\\n');"


def test_a_task_that_ends_by_itself(folder: TaskFolder) -> None:
    assert task_state(folder).state == "absent"
    start(folder, "print('hello'); raise SystemExit(3)")
    record = ended(folder)
    assert (record.ending, record.exit_code, record.signal) == ("exited", 3, None)
    assert record.peak_rss_bytes > 1_000_000
    assert record.ended >= record.started
    assert not record.out_of_memory
    assert folder.log.read_text() == "hello\n"


def test_a_folder_has_one_task_only(folder: TaskFolder) -> None:
    start(folder, "import time; time.sleep(60)")
    assert task_state(folder).state == "running"
    request_stop(folder)
    ended(folder)
    with pytest.raises(LaunchError, match="new folder"):
        start(folder, "pass")


def test_a_stop_file_ends_the_task_gently(folder: TaskFolder) -> None:
    script = (
        "import signal,sys,time\n"
        "def end(*_): open('saved','w').write('1\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM,end)\n"
    ) + "import os;open('pid','w').write(f'{os.getpid()}\\n');time.sleep(60)"
    start(folder, script, replace(FAST, stop_grace_s=30.0))
    written(folder, "pid")
    request_stop(folder)
    record = ended(folder)
    assert (record.ending, record.exit_code) == ("stopped", 0)
    assert written(folder, "saved") == 1


def test_a_stop_before_the_start_runs_nothing(folder: TaskFolder) -> None:
    request_stop(folder)
    start(folder, "open('ran','w')")
    record = ended(folder)
    assert (record.ending, record.exit_code, record.signal) == ("stopped", None, None)
    assert not (folder.root / "ran").exists()


def test_a_task_that_ignores_sigterm_is_killed_after_the_grace(folder: TaskFolder) -> None:
    start(folder, f"import signal,time;signal.signal(15,signal.SIG_IGN);{SAY_PID}time.sleep(60)")
    process = written(folder, "pid")
    began = time.monotonic()
    request_stop(folder)
    record = ended(folder)
    assert (record.ending, record.signal) == ("stopped", signal.SIGKILL)
    assert time.monotonic() - began >= FAST.stop_grace_s
    assert not record.out_of_memory  # we killed it ourselves
    assert not alive(process)


@pytest.mark.parametrize(
    ("told", "least"), [("2.5", 2.5), ("0", 0.0), ("", FAST.stop_grace_s), ("soon", 0.5), ("nan", 0.5)]
)
def test_a_stop_says_how_long_its_grace_is(folder: TaskFolder, told: str, least: float) -> None:
    start(folder, f"import signal,time;signal.signal(15,signal.SIG_IGN);{SAY_PID}time.sleep(60)")
    written(folder, "pid")
    began = time.monotonic()
    if told.replace(".", "").isdigit():
        request_stop(folder, float(told))
        assert float(folder.stop.read_text()) == float(told)
    else:
        folder.stop.write_text(told)
    assert ended(folder).signal == signal.SIGKILL
    assert least <= time.monotonic() - began < least + 20


def test_no_stop_waits_for_ever(tmp_path: Path) -> None:
    (tmp_path / "stop").write_text("1e9")
    assert told_grace(tmp_path / "stop", 20.0) == MAX_STOP_GRACE_S


def test_the_time_limit_ends_the_task(folder: TaskFolder) -> None:
    start(folder, "import time; time.sleep(60)", replace(FAST, time_limit_s=0.3))
    record = ended(folder)
    assert (record.ending, record.signal) == ("time_limit", signal.SIGTERM)
    assert 0.3 <= record.duration_s < 10


def test_a_lease_that_is_not_renewed_ends_the_task(folder: TaskFolder) -> None:
    start(folder, "import time; time.sleep(60)", replace(FAST, disconnect_grace_s=1.2))
    for _ in range(7):  # renewals keep it alive past the grace
        time.sleep(0.2)
        renew_lease(folder)
    assert task_state(folder).state == "running"
    record = ended(folder)
    assert record.ending == "lease_expired"
    assert record.duration_s >= 2.4


def test_children_that_slip_away_are_ended_too(folder: TaskFolder) -> None:
    script = (
        "import os,time\n"
        "if os.fork()==0:\n"
        " os.setsid()\n"  # a group of its own, and its parent leaves
        " if os.fork()==0:\n"
        "  open('pid','w').write(f'{os.getpid()}\\n'); time.sleep(60)\n"
        " os._exit(0)\n"
        "while not os.path.exists('pid'): time.sleep(0.01)\n"
    )
    start(folder, script)
    record = ended(folder)
    assert (record.ending, record.exit_code) == ("exited", 0)
    assert not alive(written(folder, "pid"))


AGENT = """
import os, sys, time
from pathlib import Path
from studio9_task.launch import launch
from studio9_task.layout import TaskFolder
from studio9_task.shim_task import Limits

task = '''
import os, time
print(os.getpid(), file=open("pid", "w"), flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
'''
environment = {"PATH": os.environ["PATH"]}
launch(TaskFolder(Path.cwd()), [sys.executable, "-c", task], Limits(poll_s=0.05), environment)
open("agent", "w")
time.sleep(60)
"""


def test_the_shim_survives_the_agent_that_began_it(folder: TaskFolder) -> None:
    agent = subprocess.Popen([sys.executable, "-c", AGENT], cwd=folder.root)
    task = written(folder, "pid")
    wait_for((folder.root / "agent").exists)
    agent.kill()
    agent.wait()
    assert alive(task)
    assert task_state(folder).state == "running"
    (folder.root / "go").touch()
    assert ended(folder).exit_code == 0


def test_a_killed_shim_takes_its_task_along_and_reads_as_lost(folder: TaskFolder) -> None:
    start(folder, SAY_PID + "import time;time.sleep(60)")
    task = written(folder, "pid")
    shim = int(Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    wait_for(lambda: not alive(task))
    # The system frees what a killed process locked in its own time, maybe after it has ended that process's child.
    wait_for(lambda: task_state(folder).state != "running")
    assert task_state(folder).state == "lost"


def test_sigterm_to_the_shim_is_a_stop(folder: TaskFolder) -> None:
    command = shim_command(folder, [sys.executable, "-c", SAY_PID + "import time;time.sleep(60)"], FAST, False)
    shim = subprocess.Popen(command)
    written(folder, "pid")
    shim.terminate()
    assert shim.wait(10) == 0
    assert ended(folder).ending == "stopped"


def test_a_flood_of_output_is_cut(folder: TaskFolder) -> None:
    start(
        folder,
        "import sys\nfor _ in range(200): sys.stdout.write('x'*10000)",
        replace(FAST, log_bytes=50_000),
    )
    record = ended(folder)
    assert record.exit_code == 0
    assert (record.log_bytes, record.log_truncated) == (2_000_000, True)
    assert folder.log.stat().st_size == 50_000


def test_a_command_that_is_not_there(folder: TaskFolder) -> None:
    launch(folder, ["/nonexistent/studio9-task"], FAST, {"PATH": "/usr/bin"})
    record = ended(folder)
    assert record.ending == "start_failed"
    assert "nonexistent" in record.detail


def test_over_its_memory_limit_it_is_killed(folder: TaskFolder) -> None:
    hog = (
        "import time\nheld=[]\nwhile True:\n"
        " held.append(bytearray(8<<20)); held[-1][::4096]=b'x'*2048; time.sleep(0.01)"
    )
    start(folder, hog, replace(FAST, memory_bytes=100 << 20))
    record = ended(folder)
    assert (record.ending, record.out_of_memory) == ("memory_limit", True)
    assert record.peak_rss_bytes > 100 << 20


def test_the_files_it_writes_are_limited(folder: TaskFolder) -> None:
    start(folder, "open('big','wb').write(bytes(1<<20))", replace(FAST, file_bytes=1 << 16))
    record = ended(folder)
    # Python ignores SIGXFSZ, so that the write fails and its error ends the program.
    assert (record.exit_code, record.signal) == (1, None)
    assert "File too large" in folder.log.read_text()
    assert (folder.root / "big").stat().st_size <= 1 << 16


def test_a_task_killed_by_someone_else_is_guessed_out_of_memory(folder: TaskFolder) -> None:
    start(folder, SAY_PID + "import time;time.sleep(60)")
    os.kill(written(folder, "pid"), signal.SIGKILL)
    record = ended(folder)
    assert (record.ending, record.signal, record.out_of_memory) == ("exited", signal.SIGKILL, True)


def test_the_shim_needs_the_standard_library_only() -> None:
    code = "import sys,studio9_task.shim; print([m for m in sys.modules if m.startswith('pydantic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
