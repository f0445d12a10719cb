"""Pictures and what is marked on them: read, decoded, judged, split, converted."""
