"""The whole platform in one process: composition, its state folder, starting and stopping."""
