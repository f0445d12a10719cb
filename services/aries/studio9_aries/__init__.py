"""Aries keeps the platform's documents: jobs, beats, workers, results, telemetry, claims. It decides nothing."""
