"""One training on several processes of one machine: each learns from its share of every batch, all step alike."""
