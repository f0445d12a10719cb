"""A proxy that makes PostgreSQL speak enough Redshift for the real driver, its SQL and its COPY (tests only).

`session` follows one connection, `dialect` rewrites statements, `loads` reads COPY statements, `source` fetches what
they name from S3 with signed requests, `wire` frames messages.

It differs from Redshift in: planner and performance, `stl_*` and `sys_*` tables, UNLOAD, column-wise and JSON loads,
MAXERROR, IAM roles (the proxy's own AWS credentials stand for any role), and, without EMPTYASNULL, an empty CSV field
of a text column, which it loads as NULL.
"""
