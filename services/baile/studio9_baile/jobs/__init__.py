"""What goes on behind the requests: messages out and in, results brought into the assets, records kept in step."""
