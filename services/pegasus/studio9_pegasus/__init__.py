"""Pegasus: prediction tables for analysts, each output loaded in bulk and exactly once."""
