"""Where jobs run. Providers are found through the entry points `studio9.providers`; our own workers are the first."""
