"""What every runner promises, each test once per runner."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from studio9_worker.lease import AttemptKey
from studio9_worker.runners.port import ImageMissing, RunnerError
from studio9_worker.runners.threads import VARIABLES

from .conftest import Tasks

TELL = "import os\ndef tell(text, name='told'): open('outputs/' + name, 'w').write(f'{text}\\n')\n"
SLEEP = TELL + "import time\ntell('here')\ntime.sleep(60)\n"


async def test_a_task_that_ends_by_itself(tasks: Tasks) -> None:
    launch = tasks.launch("import sys\nprint('hello', flush=True)\nprint('ouch', file=sys.stderr)\nsys.exit(3)\n")
    assert (await tasks.runner.find(launch.folder)).state == "absent"
    await tasks.runner.start(launch)
    record = await tasks.ended(launch)
    assert (record.ending, record.exit_code, record.signal) == ("exited", 3, None)
    assert not record.out_of_memory
    assert record.peak_rss_bytes > 1_000_000
    assert 0 <= record.duration_s < 30
    assert launch.folder.log.read_text() == "hello\nouch\n"


async def test_its_end_is_known_after_the_runners_part_is_removed(tasks: Tasks) -> None:
    launch = await tasks.start("raise SystemExit(0)\n")
    first = await tasks.ended(launch)
    await tasks.runner.remove(launch.key)
    assert await tasks.ended(launch) == first
    assert launch.key not in await tasks.runner.list()
    await tasks.runner.remove(launch.key)


async def test_a_signal_is_told(tasks: Tasks) -> None:
    record = await tasks.ended(await tasks.start("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"))
    assert (record.ending, record.exit_code, record.signal) == ("exited", None, signal.SIGSEGV)


async def test_starting_again_leaves_the_task_alone(tasks: Tasks) -> None:
    script = TELL + "import time, uuid\ntell(uuid.uuid4())\nwhile not os.path.exists('inputs/go'): time.sleep(0.02)\n"
    launch = await tasks.start(script)
    told = await tasks.wrote(launch)
    await tasks.runner.start(launch)
    assert (await tasks.runner.find(launch.folder)).state == "running"
    (launch.folder.inputs / "go").touch()
    assert (await tasks.ended(launch)).exit_code == 0
    assert await tasks.wrote(launch) == told


async def test_a_stop_is_gentle_first(tasks: Tasks) -> None:
    script = TELL + "import signal, sys, time\ndef end(*_):\n tell('saved', 'end')\n sys.exit(75)\n"
    launch = await tasks.start(
        script + "signal.signal(signal.SIGTERM, end)\ntell('here')\ntime.sleep(60)\n", stop_grace_s=30.0
    )
    await tasks.wrote(launch)
    await tasks.runner.stop(launch.folder)
    record = await tasks.ended(launch)
    assert (record.ending, record.exit_code) == ("stopped", 75)
    assert await tasks.wrote(launch, "end") == "saved"


async def test_a_task_that_ignores_sigterm_is_killed_after_the_grace(tasks: Tasks) -> None:
    script = TELL + "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntell('here')\ntime.sleep(60)\n"
    launch = await tasks.start(script, stop_grace_s=30.0)
    await tasks.wrote(launch)
    await tasks.runner.stop(launch.folder, 0.5)
    await tasks.runner.stop(launch.folder, 0.5)
    record = await tasks.ended(launch)
    assert (record.ending, record.signal) == ("stopped", signal.SIGKILL)
    assert record.duration_s < 20
    assert not record.out_of_memory


async def test_the_time_limit(tasks: Tasks) -> None:
    record = await tasks.ended(await tasks.start("import time\ntime.sleep(60)\n", time_limit_s=1.0))
    assert (record.ending, record.signal) == ("time_limit", signal.SIGTERM)


async def test_a_lease_that_nobody_renews(tasks: Tasks) -> None:
    launch = await tasks.start(SLEEP, disconnect_grace_s=2.0)
    await tasks.wrote(launch)
    await tasks.runner.renew(launch.folder)
    record = await tasks.ended(launch)
    assert record.ending == "lease_expired"
    assert record.duration_s >= 2.0


async def test_memory(tasks: Tasks) -> None:
    hog = "held = []\nwhile True:\n held.append(bytearray(8 << 20))\n held[-1][::4096] = b'x' * 2048\n"
    record = await tasks.ended(await tasks.start(hog, memory_bytes=128 << 20))
    assert record.out_of_memory
    assert record.signal == signal.SIGKILL
    assert record.peak_rss_bytes > 100 << 20


async def test_the_size_of_a_file(tasks: Tasks) -> None:
    launch = await tasks.start("open('outputs/big', 'wb').write(bytes(4 << 20))\n", file_bytes=1 << 20)
    record = await tasks.ended(launch)
    assert record.exit_code == 1 or record.signal == signal.SIGXFSZ
    assert (launch.folder.outputs / "big").stat().st_size <= 1 << 20


async def test_a_log_is_cut_and_a_flood_ends_the_task(tasks: Tasks) -> None:
    launch = await tasks.start("print('x' * 50_000)\n", log_bytes=10_000)
    record = await tasks.ended(launch)
    assert (record.exit_code, record.log_bytes, record.log_truncated) == (0, 50_001, True)
    assert launch.folder.log.stat().st_size == 10_000
    endless = await tasks.start("while True: print('x' * 10_000)\n", log_bytes=10_000, flood_bytes=1_000_000)
    record = await tasks.ended(endless)
    assert record.ending == "log_flood"
    assert endless.folder.log.stat().st_size == 10_000


async def test_the_environment_is_the_runners_own(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO9_SECRET", "x")
    launch = await tasks.start(TELL + "import json\ntell(json.dumps(dict(os.environ)))\n", threads=2)
    told = json.loads(await tasks.wrote(launch))
    assert {told[name] for name in VARIABLES} == {"2"}
    assert "STUDIO9_SECRET" not in told
    assert told["CUDA_VISIBLE_DEVICES"] == ""
    for name in ("HOME", "TMPDIR"):
        assert Path(told[name]) not in (Path("/"), Path("/root"))


async def test_a_successor_finds_the_task(tasks: Tasks) -> None:
    script = TELL + "import time\ntell('here')\nwhile not os.path.exists('inputs/go'): time.sleep(0.02)\n"
    launch = await tasks.start(script)
    await tasks.wrote(launch)
    successor = replace(tasks, runner=tasks.successor())
    assert (await successor.runner.find(launch.folder)).state == "running"
    (launch.folder.inputs / "go").touch()
    assert (await successor.ended(launch)).exit_code == 0


async def test_an_image_that_is_not_there_starts_nothing(tasks: Tasks) -> None:
    for image in ("debian:latest", "debian", "sha256:" + "0" * 64):
        launch = tasks.launch("pass", image=image)
        with pytest.raises(ImageMissing if tasks.runner.isolated else RunnerError):
            await tasks.runner.start(launch)
        assert (await tasks.runner.find(launch.folder)).state == "absent"


async def test_what_is_not_there_can_be_removed_and_stopped(tasks: Tasks) -> None:
    await tasks.runner.remove(AttemptKey("nothing", 1))
    launch = tasks.launch("pass")
    await tasks.runner.stop(launch.folder)
    await tasks.runner.start(launch)
    record = await tasks.ended(launch)
    assert (record.ending, record.exit_code) == ("stopped", None)
