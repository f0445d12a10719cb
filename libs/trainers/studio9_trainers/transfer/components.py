"""Classifiers that are computed, not learned step by step: principal components, plain or of a kernel, and on them a
logistic regression. As torch modules, so that they are saved and exported like any other."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

MOST_EXACT = 5_000
"""Pictures up to which a kernel's components are exact; beyond it Nyström's approximation on some of them is used."""
LANDMARKS = 1_000


def sizes(head: str, width: int, pictures: int, wanted: int) -> tuple[int, int]:
    """(pictures that are kept as references, components)."""
    if head == "RPCA_MNL":
        return 0, min(wanted, width, pictures)
    references = pictures if pictures <= MOST_EXACT else LANDMARKS
    return references, min(wanted, references)


class Components(nn.Module):
    """Vectors, scaled; their components; one score a label. `fit` computes it all."""

    def __init__(self, width: int, labels: int, references: int, components: int, kernel: str, degree: int) -> None:
        super().__init__()
        self._kernel, self._degree, self._gamma = kernel, degree, 1.0 / width
        known = references or width
        for name, shape in {
            "mean": (width,),
            "deviation": (width,),
            "references": (references, width),
            "centres": (known,),
            "whole": (1,),
            "directions": (known, components),
            "component_scale": (components,),
        }.items():
            self.register_buffer(name, torch.zeros(shape))
        self.scores = nn.Linear(components, labels)

    @classmethod
    def empty(cls, head: str, width: int, labels: int, options: Mapping[str, Any]) -> "Components":
        """One to be fitted or loaded; `references` and `components` of the options come from `sizes`."""
        kernel = "" if head == "RPCA_MNL" else str(options["kernel"])
        degree = int(options.get("degree", 3))
        return cls(width, labels, int(options["references"]), int(options["components"]), kernel, degree)

    def forward(self, last: torch.Tensor) -> torch.Tensor:
        """One score a label."""
        return self.scores(self._components(last.mean(dim=(2, 3))))

    @torch.no_grad()
    def fit(self, vectors: torch.Tensor, targets: torch.Tensor) -> float:
        """Compute everything from pictures' vectors (one a row) and label indices; the loss on them."""
        self.mean.copy_(vectors.mean(0))
        self.deviation.copy_(vectors.std(0).clamp_min(1e-6))
        scaled = (vectors - self.mean) / self.deviation
        if self._kernel:
            self._fit_kernel(scaled)
        else:
            _, _, directions = torch.pca_lowrank(scaled, q=self.directions.shape[1], center=True, niter=4)
            self.directions.copy_(directions[:, : self.directions.shape[1]])
        self.component_scale.fill_(1.0)
        components = self._components(vectors)
        self.component_scale.copy_(1 / components.std(0).clamp_min(1e-6))
        return self._regress(components * self.component_scale, targets)

    def _fit_kernel(self, scaled: torch.Tensor) -> None:
        exact = len(scaled) == len(self.references)
        chosen = scaled if exact else scaled[torch.randperm(len(scaled))[: len(self.references)]]
        self.references.copy_(chosen)
        kernel = self._likeness(chosen)
        if exact:
            self.centres.copy_(kernel.mean(0))
            self.whole.fill_(float(kernel.mean()))
            kernel = self._centred(kernel)
        values, vectors = torch.linalg.eigh(kernel.double())
        count = self.directions.shape[1]
        values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
        good = values > 1e-9 * values.max().clamp_min(1e-12)
        self.directions.copy_(torch.where(good, vectors / values.clamp_min(1e-12).sqrt(), 0.0).float())

    def _components(self, vectors: torch.Tensor) -> torch.Tensor:
        scaled = (vectors - self.mean) / self.deviation
        if self._kernel:
            scaled = self._centred(self._likeness(scaled))
        return (scaled @ self.directions) * self.component_scale

    def _likeness(self, scaled: torch.Tensor) -> torch.Tensor:
        match self._kernel:
            case "linear":
                return scaled @ self.references.T
            case "cosine":
                return functional.normalize(scaled) @ functional.normalize(self.references).T
            case "poly":
                return (self._gamma * (scaled @ self.references.T) + 1) ** self._degree
            case "sigmoid":
                return torch.tanh(self._gamma * (scaled @ self.references.T) + 1)
            case _:
                squares = (
                    (scaled**2).sum(1, keepdim=True) + (self.references**2).sum(1) - 2 * scaled @ self.references.T
                )
                return torch.exp(-self._gamma * squares.clamp_min(0))

    def _centred(self, kernel: torch.Tensor) -> torch.Tensor:
        # Without centres (Nyström's way) `whole` is 0 and rows keep their means.
        used = (self.whole != 0).to(kernel.dtype)
        return kernel - used * (kernel.mean(1, keepdim=True) + self.centres - self.whole)

    @torch.enable_grad()
    def _regress(self, components: torch.Tensor, targets: torch.Tensor) -> float:
        nn.init.zeros_(self.scores.weight)
        nn.init.zeros_(self.scores.bias)
        solver = torch.optim.LBFGS(self.scores.parameters(), max_iter=200, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            solver.zero_grad()
            loss = functional.cross_entropy(self.scores(components), targets)
            loss = loss + 1e-3 * (self.scores.weight**2).sum()
            loss.backward()
            return loss

        solver.step(closure)
        solver.zero_grad()
        return float(functional.cross_entropy(self.scores(components), targets).detach())
