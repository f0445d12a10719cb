"""Argo keeps the configuration of services and job types, and secrets: scoped, typed, versioned, announced."""
