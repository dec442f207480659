"""The suites under suites/: what each needs, and how one is run against one broker."""

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess

import versions

TIERS = ["smoke", "core", "full"]

# How each tool a suite may need is got; a missing one is a failure that says this.
INSTALL = {
    "cargo": "https://rustup.rs",
    "curl-config": "apt-get install libcurl4-openssl-dev",
    "g++": "apt-get install g++",
    "go": "https://go.dev/dl (1.21 or newer fetches the toolchain a module asks for)",
    "java": "apt-get install openjdk-17-jdk-headless",
    "javac": "apt-get install openjdk-17-jdk-headless",
    "kcat": "apt-get install kcat",
    "make": "apt-get install make",
    "mkfs.ext4": "apt-get install e2fsprogs",
    "mount": "apt-get install mount",
    "mvn": "apt-get install maven",
    "node": "apt-get install nodejs",
    "npm": "apt-get install npm",
    "prlimit": "apt-get install util-linux",
    "python3": "apt-get install python3 python3-venv",
    "unshare": "apt-get install util-linux",
    "/usr/bin/python3": "apt-get install python3",
    "/usr/include/openssl/ssl.h": "apt-get install libssl-dev",
    "/usr/include/rapidjson/document.h": "apt-get install rapidjson-dev",
    "/usr/include/sasl/sasl.h": "apt-get install libsasl2-dev",
    "/usr/include/zlib.h": "apt-get install zlib1g-dev",
    "/usr/lib/python3/dist-packages/kafka/__init__.py": "apt-get install python3-kafka python3-lz4 python3-snappy python3-xxhash",
    "/usr/share/dict/american-english": "apt-get install wamerican",
    "/usr/share/common-licenses/GPL-3": "apt-get install base-files",
}


@dataclasses.dataclass
class Suite:
    """One directory under suites/ and its profile."""

    name: str
    path: pathlib.Path
    client: str
    tier: str
    timeout_seconds: int
    needs: list
    overrides: dict
    # The port a suite's tests insist on; None for any free one.
    port: int | None
    # The release of Apache Kafka it is held against; None for the newest.
    peer: str | None
    # False for a suite that tests a part of the harness itself.
    needs_broker: bool

    def missing(self):
        """One line for each tool of `needs` that this machine lacks."""
        absent = [need for need in self.needs if not (os.path.exists(need) if need[0] == "/" else shutil.which(need))]
        return [f"{need} is missing, install it with: {INSTALL[need]}" for need in absent]

    def prepare(self, environment, log):
        """Fetch and build what the suite needs into the cache, before a broker is started for it."""
        script = self.path / "prepare.sh"
        if script.exists():
            subprocess.run([script], env=environment, stdout=log, stderr=log, check=True)

    def run(self, environment, log):
        """Run the suite; say how it ended if not by itself with code 0."""
        process = subprocess.Popen(
            [self.path / "run.sh"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(self.timeout_seconds)
            return None if code == 0 else f"run.sh ended with code {code}"
        except subprocess.TimeoutExpired:
            return f"run.sh took more than {self.timeout_seconds} s"
        finally:
            # The group is the suite's own session: nothing it started outlives it.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def load(tier, only):
    """The suites of `tier` and the tiers below it, or the one named `only`, in the order of their names."""
    wanted = TIERS[: TIERS.index(tier) + 1]
    found = [_read(path.parent) for path in sorted((versions.ROOT / "suites").glob("*/profile"))]
    if only:
        return [suite for suite in found if suite.name in only]
    return [suite for suite in found if suite.tier in wanted]


def _read(path):
    lines = [line for line in (path / "profile").read_text().splitlines() if line and not line.startswith("#")]
    profile = dict(line.split("=", 1) for line in lines)
    return Suite(
        name=path.name,
        path=path,
        client=profile["client"],
        tier=profile["tier"],
        timeout_seconds=int(profile["timeout"]),
        needs=profile["needs"].split(),
        overrides={key[4:]: value for key, value in profile.items() if key.startswith("set.")},
        port=int(profile["port"]) if "port" in profile else None,
        peer=profile.get("peer"),
        needs_broker=profile.get("broker") != "none",
    )
