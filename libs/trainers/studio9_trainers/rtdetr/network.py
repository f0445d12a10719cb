"""RT-DETR's networks, from scratch: made from a configuration, nothing is downloaded."""

from typing import Any

import torch
from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig
from transformers.utils import logging

BACKBONES: dict[str, dict[str, Any]] = {
    "RTDETR_S": {
        "embedding_size": 16,
        "hidden_sizes": [16, 32, 64, 128],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
    },
    "RTDETR_R18": {
        "embedding_size": 64,
        "hidden_sizes": [64, 128, 256, 512],
        "depths": [2, 2, 2, 2],
        "layer_type": "basic",
    },
    "RTDETR_R50": {
        "embedding_size": 64,
        "hidden_sizes": [256, 512, 1024, 2048],
        "depths": [3, 4, 6, 3],
        "layer_type": "bottleneck",
    },
}
WIDTHS: dict[str, dict[str, Any]] = {
    "RTDETR_S": {"width": 64, "ffn": 128, "heads": 4, "decoder_layers": 2},
    "RTDETR_R18": {"width": 256, "ffn": 1024, "heads": 8, "decoder_layers": 3},
    "RTDETR_R50": {"width": 256, "ffn": 1024, "heads": 8, "decoder_layers": 6},
}


def build(architecture: str, labels: int, queries: int) -> torch.nn.Module:
    """A fresh network for so many labels."""
    logging.set_verbosity_error()
    backbone, size = BACKBONES[architecture], WIDTHS[architecture]
    config = RTDetrConfig(
        backbone_config=RTDetrResNetConfig(out_features=["stage2", "stage3", "stage4"], **backbone),
        # From scratch the norms must learn; frozen ones suit pretrained weights alone.
        freeze_backbone_batch_norms=False,
        encoder_in_channels=backbone["hidden_sizes"][1:],
        encoder_hidden_dim=size["width"],
        encoder_ffn_dim=size["ffn"],
        encoder_attention_heads=size["heads"],
        d_model=size["width"],
        decoder_in_channels=[size["width"]] * 3,
        decoder_ffn_dim=size["ffn"],
        decoder_attention_heads=size["heads"],
        decoder_layers=size["decoder_layers"],
        num_queries=queries,
        num_denoising=min(100, max(10, queries // 2)),
        num_labels=labels,
    )
    return RTDetrForObjectDetection(config)
