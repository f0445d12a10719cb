"""Planted bugs: what the simulation must be able to find. Each is a substitute for a part, in the simulation only."""
