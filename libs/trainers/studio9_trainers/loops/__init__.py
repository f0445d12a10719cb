"""The training loop that is ours: one for every framework that brings a model but no loop of its own."""
