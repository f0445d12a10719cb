"""What every service's HTTP side shares: the app with problem details, service authentication, the client."""
