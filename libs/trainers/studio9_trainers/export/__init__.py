"""Trained models as files for other programs: written, compared with the model they came from, and described."""
