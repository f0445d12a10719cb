"""The command line for people without the platform: the same tasks on folders of their own."""
