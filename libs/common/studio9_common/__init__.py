"""What every Studio9 service shares: contracts, ports with their adapters, settings, logging, service tokens."""
