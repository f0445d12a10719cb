"""The objects port: pictures, datasets, models, outputs."""
