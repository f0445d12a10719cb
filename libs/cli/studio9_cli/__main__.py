"""`python -m studio9_cli`: what the launcher runs."""

import sys

from studio9_cli.main import main

sys.exit(main())
