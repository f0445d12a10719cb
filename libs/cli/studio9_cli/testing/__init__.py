"""The test command: parts run in two lanes, real servers start beside them, a summary says what ran and what not."""
