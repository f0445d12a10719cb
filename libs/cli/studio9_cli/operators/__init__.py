"""What operators see and do from a shell: jobs, workers, dead letters, over Orion's HTTP API."""
