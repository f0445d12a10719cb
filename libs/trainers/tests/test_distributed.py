"""Two processes with half of each batch learn what one learns with all of it."""

import os
import runpy
import subprocess
from pathlib import Path

import torch
from safetensors.torch import load_file

from studio9_trainers.distributed.launch import command

PROGRAM = Path(__file__).with_name("distributed_program.py")


def test_two_processes_equal_one_with_the_same_global_batch(tmp_path: Path) -> None:
    runpy.run_path(str(PROGRAM))["main"](tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = command([str(PROGRAM), str(tmp_path)], 2)
    done = subprocess.run(started, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    alone, together = (load_file(tmp_path / f"{world}.safetensors") for world in (1, 2))
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=1e-5, atol=1e-6), name
    assert (tmp_path / "2-0.txt").read_text() == (tmp_path / "2-1.txt").read_text()
