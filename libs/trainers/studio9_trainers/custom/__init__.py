"""Trainers of users: their class in the loop that is ours, and only where their code can do no harm to others."""
