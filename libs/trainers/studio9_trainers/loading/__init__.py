"""Batches of varied pictures for training: nothing is kept in memory, and each pixel is moved once."""
