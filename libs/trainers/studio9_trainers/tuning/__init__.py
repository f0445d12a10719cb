"""Searching a training's settings: what to try next, when to give up, and the winner trained again."""
