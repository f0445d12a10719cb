"""One set of boxes from the overlapping predictions of tiles: which stay, and what becomes of the others."""
