"""Deterministic simulation: the real Orion and the real worker agent on simulated ports, in virtual time.

One seed is one run, bit for bit. `plan` makes jobs and faults of a seed, `world` runs them, `oracle` judges.
"""
