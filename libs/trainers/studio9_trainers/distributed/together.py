"""What the processes of one training do together. One that is alone does nothing here."""

import torch
import torch.distributed as dist

from studio9_trainers.distributed.group import average_buffers, checksum, heard, sum_gradients
from studio9_trainers.distributed.norms import share_norms
from studio9_trainers.errors import DriftedApart, Stopped
from studio9_trainers.run import Run


class Together:
    """One process of a training, as it agrees with the others: each calls the same methods in the same order."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self._run.world == 1

    def share_norms(self, model: torch.nn.Module) -> None:
        """Let the batch norms of a model see the pictures of all, in each of its steps."""
        if not self.alone:
            share_norms(model)

    def part(self, own: float) -> float:
        """`own` by the mean of what each has (neither below 1). A loss that each divides by its own number, times
        this, has as mean over all of them what one would have with all pictures."""
        if self.alone:
            return 1.0
        total = torch.tensor([own], dtype=torch.float64, device=self._device)
        with heard():
            dist.all_reduce(total)
        return max(1.0, own) * self._run.world / max(1.0, float(total.item()))

    def before_step(self, model: torch.nn.Module, mean: bool) -> None:
        """Let all have the mean of all gradients, or their sum, and the mean of what norms have seen. (Once an epoch
        would do for norms, but for the last bit: a training that goes on inside an epoch shall end the same.)"""
        if not self.alone:
            sum_gradients(model, self._run.world if mean else 1)
            average_buffers(model)

    def mean(self, values: torch.Tensor) -> list[float]:
        """The means of some numbers (one axis) over all of them; no number where one has none."""
        if self.alone:
            return [float(one) for one in values]
        said = values.detach().to(self._device, torch.float64)
        with heard():
            dist.all_reduce(said)
        return [float(one) / self._run.world for one in said.tolist()]

    def anyone(self, flag: bool) -> bool:
        """Whether any of them says so."""
        if self.alone:
            return flag
        said = torch.tensor([float(flag)], device=self._device)
        with heard():
            dist.all_reduce(said, dist.ReduceOp.MAX)
        return bool(said.item())

    def leaders(self, value: float) -> float:
        """What the leading one says; whole numbers below 2**53 stay whole."""
        if self.alone:
            return value
        said = torch.tensor([value], dtype=torch.float64, device=self._device)
        with heard():
            dist.broadcast(said, src=0)
        return float(said.item())

    def check_stop(self) -> None:
        """Raise Stopped in all of them once one was told to stop: none waits for another that has gone."""
        if self.anyone(self._run.stop.wanted):
            raise Stopped

    def compare(self, epoch: int, *models: torch.nn.Module) -> None:
        """Tell the checksum of the models after an epoch, and raise DriftedApart where another process has another."""
        if self.alone:
            return
        own = checksum(*models)
        self._run.events.log(f"Process {self._run.rank + 1} of {self._run.world}, epoch {epoch}: weights {own}.")
        if self.anyone(self.leaders(own) != own):
            raise DriftedApart

    @property
    def _device(self) -> str:
        return self._run.device if dist.get_backend() == "nccl" else "cpu"
