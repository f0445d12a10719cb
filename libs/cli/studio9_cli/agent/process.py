"""Starts the agent as a process that outlives the command, waits for it, and ends it."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from studio9_cli.agent.folder import AgentFolder, AgentOptions, RunningAgent, is_agent
from studio9_cli.agent.local import LocalAgent
from studio9_cli.project import commit, environment_python
from studio9_common.errors import Conflict, Studio9Error

READY_S = 90.0
END_S = 30.0
"""A service stops within 10 s; what still runs then is not killed, since its tasks would look abandoned."""


class AgentRuns(Conflict):
    """A worker runs on this state folder already; change it with `studio9 worker scale N`, `worker down` ends it."""


class AgentEnded(Studio9Error):
    """The worker ended while it started; the last lines of its log say why."""


class AgentGoesOn(Studio9Error):
    """The worker does not end; look into its log."""


def command() -> list[str]:
    """What runs the agent."""
    return [sys.executable, "-m", "studio9_worker"]


def environment(folder: AgentFolder, options: AgentOptions, port: int) -> dict[str, str]:
    """The agent's: that of this command, and its settings."""
    own = {
        "STUDIO9_STATE_DIR": str(folder.path),
        "STUDIO9_PORT": str(port),
        "STUDIO9_COMMIT": commit(),
        "STUDIO9_WORKER_TRAINERS_PYTHON": str(environment_python("trainers")),
    }
    return (
        own
        | dict(os.environ)
        | options.environment()
        | {"STUDIO9_STATE_DIR": str(folder.path), "STUDIO9_PORT": str(port)}
    )


async def start(folder: AgentFolder, options: AgentOptions) -> LocalAgent:
    """Starts the agent and waits until it is ready. Raises AgentEnded, and Studio9Error where it does not get ready."""
    running = spawn(folder, options)
    agent = LocalAgent(folder, running)
    try:
        async with asyncio.timeout(READY_S):
            while not await agent.ready():
                if not is_agent(running.pid):
                    folder.forget()
                    raise AgentEnded(f"the worker ended while it started:\n{tail(folder.log)}")
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AgentGoesOn(
            f"the worker is not ready after {READY_S:g} s; it goes on trying:\n{tail(folder.log)}"
        ) from None
    if options.resume:
        await agent.resume()
    return agent


def spawn(folder: AgentFolder, options: AgentOptions) -> RunningAgent:
    """The agent's process, in a session of its own, so that it outlives the command and its terminal."""
    port = free_port(options.host)
    folder.keep(options)
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        sys.executable,
        command(),
        environment(folder, options, port),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(folder.log), appending, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    running = RunningAgent(pid, port)
    folder.started(running)
    return running


async def stop(folder: AgentFolder) -> None:
    """Ends the agent alone; its tasks go on, and its successor finds them. Raises NoAgent, AgentGoesOn."""
    running = folder.running()
    os.kill(running.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(END_S):
            while is_agent(running.pid):
                _reap(running.pid)
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AgentGoesOn(f"the worker (process {running.pid}) has not ended after {END_S:g} s") from None
    folder.forget()


def run_here(folder: AgentFolder, options: AgentOptions, port: int) -> None:
    """Becomes the agent, for a supervisor such as systemd; does not return."""
    folder.keep(options)
    folder.started(RunningAgent(os.getpid(), port))
    os.chdir(folder.path)
    os.execve(sys.executable, command(), environment(folder, options, port))


def free_port(host: str) -> int:
    """A port that is free now."""
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


def tail(log: Path, lines: int = 12) -> str:
    """The end of a log."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _reap(pid: int) -> None:
    """An agent that this very process started would stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
