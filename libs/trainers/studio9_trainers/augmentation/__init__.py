"""Studio-9's twelve operations: pure functions of a picture and what is marked on it, for albums and for training."""
