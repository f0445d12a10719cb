"""Build the images of services and of the trainers, and tell their sizes, users, and what each layer took.

The recipes are deploy/Dockerfile and deploy/trainers.Dockerfile. `--base` names an image that is in the engine, for
places where no registry can be reached.
"""

import argparse
import json
import sys
from pathlib import Path

from studio9_cli.images.building import Build, BuildFailed, build, known
from studio9_cli.images.recipes import NAMES, recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    every = f"of {', '.join(NAMES)}; all without any"
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=every)
    parser.add_argument("--base", default="", help="image to build on, by name or id; else the recipe's own")
    parser.add_argument("--engine", default="", help="address of the Docker Engine; else the docker command's own")
    parser.add_argument("--network", default="", help="network of the build's steps, such as host")
    parser.add_argument("--ca", type=Path, help="certificates with which the package index is trusted")
    parser.add_argument("--registry", default="studio9", help="images are called REGISTRY/NAME:TAG (studio9)")
    parser.add_argument("--tag", default="0.1.0", help="see --registry (0.1.0)")
    parser.add_argument("--no-build", action="store_true", help="tell of the images that are there, and build none")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """0; 1 where an image could not be built or, with --no-build, none is there."""
    options = Build(args.engine, args.base, args.network, args.ca)
    found, failed = {}, {}
    for name in args.names or NAMES:
        tagged = f"{args.registry}/{name}:{args.tag}"
        try:
            image = known(options, tagged) if args.no_build else build(options, recipe(name), tagged)
        except BuildFailed as error:
            failed[name] = str(error)
            print(f"studio9: {name}: {error}", file=sys.stderr)
            continue
        if image is not None:
            found[name] = image
            if not args.json:
                print("\n".join(image.lines(tagged)), flush=True)
    if args.json:
        print(json.dumps({"images": {name: one.facts() for name, one in found.items()}, "failed": failed}, indent=1))
    return 1 if failed or not found else 0
