"""Going on exactly: what a training's state holds, and random choices that follow from seed and epoch."""
