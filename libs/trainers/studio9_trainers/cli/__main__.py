"""`python -m studio9_trainers.cli`, which the launcher calls as `studio9 train` and so on."""

import sys

from studio9_trainers.cli.main import main

sys.exit(main())
