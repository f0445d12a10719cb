"""Our settings in Ultralytics' words."""

from typing import Any

import torch

from studio9_trainers.config import TrainingConfig
from studio9_trainers.run import Run
from studio9_trainers.yolo.weights import backbone_layers, model_file


def arguments(run: Run, config: TrainingConfig, input_size: int) -> dict[str, Any]:
    """Overrides of the package's defaults.

    Its defaults suit large sets on accelerators: 64 pictures a step, three epochs of warm-up, mosaics, mirrored
    pictures. From scratch on a few hundred pictures those learn nothing in a few epochs.
    """
    on_cpu = run.device == "cpu"
    return {
        "model": model_file(config.architecture, config.task),
        "task": config.task,
        "mode": "train",
        "data": None,
        "device": "cpu" if on_cpu else run.device.partition(":")[2],
        "workers": 0 if on_cpu else 4,
        # bf16 needs no check that would fetch a model, and no scaling of the loss
        "amp": "bf16" if not on_cpu and torch.cuda.is_bf16_supported() else False,
        "epochs": config.epochs,
        "batch": config.batch_size,
        "nbs": config.batch_size,
        "imgsz": input_size,
        "optimizer": config.optimizer,
        "lr0": config.head_rate,
        "lrf": 0.05,
        "warmup_epochs": 0.5,
        "warmup_bias_lr": 0.0,
        "patience": config.patience,
        "seed": config.seed % 2**31,
        "deterministic": True,
        "freeze": backbone_layers(config.architecture, config.task) if config.freeze_backbone else None,
        "mosaic": config.options["mosaic"],
        "close_mosaic": min(10, config.epochs // 3),
        "fliplr": config.options["mirror"],
        "scale": config.options["scale"],
        "erasing": 0.0,
        "plots": False,
        "save": True,
        "val": True,
        "verbose": False,
        "exist_ok": True,
        "project": str(run.folder.scratch / "yolo"),
        "name": "run",
    }
