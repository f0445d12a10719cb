"""One module per command; `studio9_cli.main` says what a command is."""
