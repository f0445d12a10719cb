"""The command line of Studio9; alone in importing several services."""
