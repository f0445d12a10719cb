"""The shim as the first process of a container: `python -m studio9_task.contained FOLDER [options] -- COMMAND...`

It does what `studio9_task.shim` does, but the task runs as the same user beside it and is not trusted: the folder
`shim/` is read-only here, so lease and stop are the agent's alone; signals from inside do not count as a stop; and the
exit record goes to standard output, which the engine keeps and the task cannot reach. The container itself is the
lock. Standard library only.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from studio9_task.descendants import close_to_others
from studio9_task.shim import limits_of, parser
from studio9_task.shim_task import ShimTask

RECORD = "studio9-exit "
"""Begins the line that holds the exit record."""


class ContainedTask(ShimTask):
    """A task whose end is told on standard output and which only the stop file stops."""

    def _stop_signal(self, *_: object) -> None:
        """Nothing: whatever sends it shares this container with the task."""

    def _tell(self, record: Mapping[str, object]) -> None:
        print(f"\n{RECORD}{json.dumps(record)}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run a task to its end; 0 once that is told."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    close_to_others()
    ContainedTask(Path(options.folder) / "shim", options.command, limits_of(options), options.cgroup).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
