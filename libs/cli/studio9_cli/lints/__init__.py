"""House rules that no general tool checks. Each module has one `check`, which gives findings, none when all is well."""
