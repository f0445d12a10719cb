"""Training, evaluating and predicting with vision models, from files to files.

Imports nothing of the platform but the task contract. This file imports nothing: torch takes seconds, and the
catalogue must not.
"""
