"""Where a benchmark runs: as root, with mounts of its own, in directories that go with it."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile

from processes import Failed, run

GIB = 1 << 30


def make_ready(name, program, tools):
    """Ends the benchmark of this name if something is missing; else it may mount, and a signal makes it tidy up."""
    if os.geteuid() != 0:
        sys.exit(f"{name}: needs root, for namespaces and loop devices")
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        sys.exit(f"{name}: needs {', '.join(missing)}: run scripts/setup")
    if not os.access(program, os.X_OK):
        sys.exit(f"{name}: '{program}' is not there: cmake --build --preset release")
    _with_own_mounts()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))


def _with_own_mounts():
    """Whatever is mounted from here on, nobody else sees, and it goes with this process."""
    if os.environ.get("COLDSPARE_BENCH_MOUNTS") != "own":
        os.environ["COLDSPARE_BENCH_MOUNTS"] = "own"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *sys.argv])


@contextlib.contextmanager
def work_directory(base):
    """A new directory there, under a name outside /dev: coldspare makes no images below it, and /dev/shm is fast."""
    with tempfile.TemporaryDirectory(dir=base, prefix="bench-") as work:
        if not os.path.realpath(work).startswith("/dev/"):
            yield work
            return
        with tempfile.TemporaryDirectory(prefix="coldspare-bench.") as name:
            run("mount", "--bind", work, name)
            try:
                yield name
            finally:
                run("umount", name)


def need_space(work, size, what):
    if (free := shutil.disk_usage(work).free) < size:
        raise Failed(f"{what} needs {size / GIB:.1f} GiB in '{work}', which has {free / GIB:.1f} GiB")
