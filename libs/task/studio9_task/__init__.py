"""The task contract: what a task finds in its folder, what it writes there, and the shim that owns it.

Imported by the platform and by the trainers alike, so it needs pydantic and nothing else. This file stays
empty of imports: the shim starts from here and must be small.
"""
