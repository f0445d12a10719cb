"""Who may come in, and what may be brought: passwords, tokens, names of files, pictures."""
