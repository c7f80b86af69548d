"""One libguestfs appliance under a script's control (appliance_shell.cpp): for disks that this machine cannot read."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SHELL = Path(os.environ.get("APPLIANCE_SHELL", REPO / "build/release/tests/system/appliance-shell"))


class Refused(Exception):
    """What the appliance was asked for did not work."""


class Appliance:
    """Disks by label, letters only: /dev/disk/guestfs/LABEL in there. Used in a `with`, which ends it in order.

    options are "--read-only", and "--unsafe" for disks that can be built again.
    """

    def __init__(self, disks, *, image_format="raw", options=()):
        self.started = time.monotonic()
        words = ["setpriv", "--pdeathsig", "KILL", SHELL, "--format", image_format,
                 *options, *[f"{label}={path}" for label, path in disks.items()]]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         env={"LIBGUESTFS_BACKEND_SETTINGS": "force_tcg", **os.environ})
        try:
            self._answer("starting the appliance")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._ask("close")
        finally:
            self._process.stdin.close()
            if kind is not None:
                self._process.terminate()
            self._process.wait()

    def inside(self, command):
        """What a shell command in the appliance prints; the mounted file systems are below /sysroot."""
        return self._ask("inside", command)

    def guest(self, command):
        """What a shell command prints in the system that is mounted."""
        return self._ask("guest", command)

    def mount(self, device, point):
        self._ask("mount", device, point)

    def unlock(self, device, name, passphrase):
        self._ask("unlock", device, name, passphrase)

    def inspect(self):
        """Mounts the system on the disks; its mount points."""
        return self._ask("inspect").split()

    def _ask(self, *words):
        if os.environ.get("APPLIANCE_TRACE"):
            print(f"[{time.monotonic() - self.started:.0f} s] {' '.join(words)}", file=sys.stderr)
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self._answer(" ".join(words))

    def _answer(self, what):
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"ok": False, "output": "the appliance is gone"}
        if not answer["ok"]:
            raise Refused(f"{what}: {answer['output']}")
        return answer["output"]
