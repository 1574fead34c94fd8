"""``psy profile``: Snakemake profiles that psyrun ships."""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.run.snakemake import MARK, installation_path
from psyrun.utils.files import read_json, write_json
from psyrun.utils.resources import shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "install",
        nargs="?",
        choices=["install"],
        help="copy the profile to where 'snakemake --profile NAME' finds it; one that "
        "psyrun did not write, or that was edited, is left as it is",
    )
    parser.add_argument("name", metavar="NAME", help=", ".join(_names()))


def execute(args: argparse.Namespace) -> int:
    """Print the path of the profile, or that of its copy."""
    names = _names()
    if args.name not in names:
        raise PsyrunError(
            f"unknown profile {args.name!r}.{did_you_mean(args.name, names)} "
            f"Choose one of {', '.join(names)}."
        )
    source = shipped("profiles", args.name)
    print(_install(source) if args.install else source)
    return 0


def _names() -> list[str]:
    return sorted(path.name for path in shipped("profiles").iterdir() if path.is_dir())


def _install(source: Path) -> Path:
    target = installation_path(source.name)
    if target.exists() and not _is_untouched(target):
        raise PsyrunError(
            f"{target}: was not written by psyrun, or was edited since, and is left as "
            "it is. Rename or remove it, then install again."
        )
    target.mkdir(parents=True, exist_ok=True)
    files = [path for path in sorted(source.iterdir()) if path.is_file()]
    for file in files:
        shutil.copyfile(file, target / file.name)
    write_json(target / MARK, {file.name: _digest(file) for file in files})
    return target


def _is_untouched(target: Path) -> bool:
    digests = read_json(target / MARK)
    return isinstance(digests, dict) and all(
        _digest(target / name) == digest for name, digest in digests.items()
    )


def _digest(file: Path) -> str:
    content = file.read_bytes() if file.is_file() else b""
    return hashlib.sha256(content).hexdigest()
