"""Trains a small network without BatchNorm, alone or as one of several processes under torchrun, and writes it down."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from studio9_trainers.distributed.group import average_gradients, checksum, joined
from studio9_trainers.distributed.settings import Rank

STEPS, BATCH = 12, 8


def main(folder: Path) -> None:
    rank = Rank.from_environment()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.SiLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(8, 4),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    with joined(rank):
        for step in range(STEPS):
            data = torch.Generator().manual_seed(step)
            pixels, labels = torch.rand(BATCH, 3, 16, 16, generator=data), torch.randint(4, (BATCH,), generator=data)
            own = slice(rank.rank, None, rank.world)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(pixels[own]), labels[own]).backward()
            if rank.world > 1:
                average_gradients(model)
            optimizer.step()
        (folder / f"{rank.world}-{rank.rank}.txt").write_text(str(checksum(model)))
        if rank.rank == 0:
            save_file(model.state_dict(), folder / f"{rank.world}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
