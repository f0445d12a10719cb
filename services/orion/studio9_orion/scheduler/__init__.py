"""Scheduling: a pure function from queue, slots and shares to assignments, and the loop that carries them out."""
