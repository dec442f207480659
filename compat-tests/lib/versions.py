"""The pinned versions of versions.lock."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def load():
    """Return {name: version} from versions.lock."""
    versions = {}
    for line in (ROOT / "versions.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("=")
            versions[name] = version
    return versions
