"""Baile: users, albums, pictures, labels, models, experiments, predictions and deployments, behind the public API."""
