"""The dispatcher finds commands by their files, and imports only the one that is asked for."""

import sys
from pathlib import Path

import pytest

import studio9_cli.commands
from studio9_cli.main import main, summaries, usage

COMMAND = '''"""Says a word.\n\nMore words."""
def add_arguments(parser):
    parser.add_argument("word")
def run(args):
    if args.word == "stop":
        raise KeyboardInterrupt
    print("said", args.word)
    return 7
'''


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "say_it.py").write_text(COMMAND)
    (tmp_path / "broken.py").write_text('"""Cannot even be imported."""\nraise RuntimeError\n')
    monkeypatch.setattr(studio9_cli.commands, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "studio9_cli.commands.say_it", raising=False)
    return tmp_path


def test_help_reads_docstrings_without_importing(commands: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert summaries() == {"broken": "Cannot even be imported.", "say-it": "Says a word."}
    assert main([]) == 0
    assert "say-it" in capsys.readouterr().out
    assert "setup" in usage()


def test_runs_the_command_with_its_arguments(commands: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say-it", "hello"]) == 7
    assert capsys.readouterr().out == "said hello\n"


def test_interrupted_and_unknown(commands: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say-it", "stop"]) == 130
    assert main(["sya-it"]) == 2
    assert "no command 'sya-it'" in capsys.readouterr().err
