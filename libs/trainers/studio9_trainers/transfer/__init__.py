"""Transfer learning: a backbone that gives features, and a head that makes something of them (timm, torchvision)."""
