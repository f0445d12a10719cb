"""Taurus: online prediction. Pictures that arrive are claimed, batched, predicted, and announced when they are done."""
