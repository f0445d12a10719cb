"""The bare Ultralytics run beside ours: `bare.py DATA.yaml SCRATCH EPOCHS SIZE SEED`.

The same model, recipe, seed and thread as a training through the platform with the
catalogue's defaults (see studio9_trainers.yolo.arguments), with the package's own data set, checkpoints and
validation. Prints the moment at which the trained model is there, before anything is evaluated with it.
"""

import sys
import time
from pathlib import Path

from studio9_trainers.yolo.quiet import ultralytics


def main(data: str, scratch: Path, epochs: int, size: int, seed: int) -> None:
    """Trains."""
    ultralytics(scratch, 1)
    import torch
    from ultralytics.models.yolo.detect import DetectionTrainer

    trainer = DetectionTrainer(
        overrides={
            "model": "yolo11n.yaml",
            "task": "detect",
            "mode": "train",
            "data": data,
            "device": "cpu",
            "workers": 0,
            "amp": False,
            "epochs": epochs,
            "batch": 8,
            "nbs": 8,
            "imgsz": size,
            "optimizer": "AdamW",
            "lr0": 0.002,
            "lrf": 0.05,
            "warmup_epochs": 0.5,
            "warmup_bias_lr": 0.0,
            "patience": 0,
            "seed": seed,
            "deterministic": True,
            "mosaic": 0.0,
            "close_mosaic": min(10, epochs // 3),
            "fliplr": 0.0,
            "scale": 0.2,
            "erasing": 0.0,
            "plots": False,
            "save": True,
            "val": True,
            "verbose": False,
            "exist_ok": True,
            "project": str(scratch / "yolo"),
            "name": "run",
        }
    )
    torch.set_num_threads(1)
    trainer.final_eval = lambda: print(f"trained-at {time.time():.6f}", flush=True)
    trainer.train()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
