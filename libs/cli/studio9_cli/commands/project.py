"""A project as folders on a disk: `project export ID --to FOLDER`, `project import FOLDER`.

Both speak to Baile's public API as a user: `--url` is its address, `--token-file` holds the user's token (of a sign-in,
or made with POST /v1/tokens).
"""

import argparse
import asyncio
import sys
from pathlib import Path

import httpx

from studio9_cli.demo.api import Api, ApiError
from studio9_cli.projects.exporting import export_project
from studio9_cli.projects.importing import import_project
from studio9_common.errors import Studio9Error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    ways = parser.add_subparsers(dest="way", required=True)
    out = ways.add_parser("export", help="write a project below a folder")
    out.add_argument("project", help="the project's id")
    out.add_argument("--to", type=Path, default=Path(), help="where projects/project-ID is made")
    back = ways.add_parser("import", help="make a new project from an exported one")
    back.add_argument("folder", type=Path, help="a folder project-ID")
    back.add_argument("--name", help="the new project's name")
    for way in (out, back):
        way.add_argument("--url", required=True, help="Baile's address")
        way.add_argument("--token-file", type=Path, required=True, help="file with the user's token")


def run(args: argparse.Namespace) -> int:
    """0 once it is done."""
    try:
        print(asyncio.run(_done(args)))
    except Studio9Error as error:
        print(f"studio9: {error.message}", file=sys.stderr)
    except (ApiError, OSError, httpx.HTTPError) as error:
        print(f"studio9: {error}", file=sys.stderr)
    else:
        return 0
    return 1


async def _done(args: argparse.Namespace) -> str:
    token = await asyncio.to_thread(args.token_file.read_text, encoding="utf-8")
    api = Api(args.url, token=token.strip())
    try:
        if args.way == "export":
            out = await export_project(api, args.project, args.to)
            told = f"{out.albums} albums, {out.pictures} pictures, {out.models} models, {out.experiments} experiments"
            return f"{out.folder}: {told}"
        back = await import_project(api, args.folder, args.name)
        return f"project {back.project}: {back.albums} albums, {back.pictures} pictures"
    finally:
        await api.close()
