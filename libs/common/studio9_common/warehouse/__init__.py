"""The warehouse port: prediction tables for analysts. Pegasus alone uses it."""
