"""Orion owns the life of a job: dispatcher, supervisor, scheduler, sweeper and cleaner around one pure core."""
