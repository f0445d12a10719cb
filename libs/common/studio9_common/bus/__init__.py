"""The bus port: messages between services. `open_bus` picks the adapter by the address's scheme."""
