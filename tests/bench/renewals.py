"""The bars of a re-clone: how long it may take, what it may put on the wire, and what came of it."""

import statistics
from dataclasses import asdict, dataclass, field

from bars import MISS, PASS, table

TIME = 1.15  # of the plain sequential read of the slower side's disk
PAGES, FILES = 1.5, 1.2  # bytes on the wire for each byte of pages changed at random, and of changed files
PER_BLOCK = 32  # bytes on the wire for each block of the disk
UNCHANGED = 0.001  # of the disk, on the wire
BLOCK = 256 << 10  # bytes; what coldspare takes if nothing else is asked for
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    name: str
    upgrade: bool
    pages: bool


CASES = (
    Case("unchanged", upgrade=False, pages=False),
    Case("1 % of the pages", upgrade=False, pages=True),
    Case("upgrade", upgrade=True, pages=False),
    Case("upgrade and 1 % of the pages", upgrade=True, pages=True),
)


@dataclass
class Change:
    """Bytes of the 4 KiB pages that are not what they were."""
    pages: int = 0  # changed at random
    files: int = 0  # all others

    def total(self):
        return self.pages + self.files


@dataclass
class Renewal:
    """One re-clone."""
    seconds: float
    change: Change
    sent: int  # bytes of disk
    told: int  # bytes_wire, as coldspare says
    device: int  # what the cable's devices counted, both ways
    packets: int  # what its shapers counted, both ways

    def wire(self):
        return max(self.told, self.device, self.packets)


@dataclass
class Timed:
    """A re-clone with default options, and how long it takes to read the disks that it compares, just before it."""
    renewal: Renewal
    source: float
    target: float
    together: float  # both at once, until both are read

    def base(self):
        return max(self.source, self.target)


@dataclass
class Found:
    """All that was measured of one case."""
    case: Case
    size: int
    timed: list = field(default_factory=list)
    stored: Renewal = None  # the one without compression

    def _median(self, value):
        return statistics.median(value(one) for one in self.timed)

    def seconds(self):
        return self._median(lambda one: one.renewal.seconds)

    def source(self):
        return self._median(lambda one: one.source)

    def target(self):
        return self._median(lambda one: one.target)

    def together(self):
        return self._median(lambda one: one.together)

    def told(self):
        return self._median(lambda one: one.renewal.told)

    def packets(self):
        return self._median(lambda one: one.renewal.packets)

    def ratio(self):
        return self.seconds() / max(self.source(), self.target())

    def time_verdict(self):
        return PASS if self.ratio() <= TIME else MISS

    def wire_limit(self):
        return wire_limit(self.size, self.stored.change)

    def wire_verdict(self):
        """By the largest of the counts; the run without compression counts, and none with it may need more either."""
        runs = [self.stored, *(one.renewal for one in self.timed)]
        return PASS if all(run.wire() <= wire_limit(self.size, run.change) for run in runs) else MISS

    def good(self):
        return self.time_verdict() == self.wire_verdict() == PASS

    def as_json(self):
        return {**asdict(self), "ratio": self.ratio(), "time": self.time_verdict(), "wire_limit": self.wire_limit(),
                "wire": self.wire_verdict()}


def wire_limit(size, change):
    """Bytes that may go over the wire for this change of a disk of this size."""
    if not change.total():
        return UNCHANGED * size
    return PAGES * change.pages + FILES * change.files + PER_BLOCK * -(-size // BLOCK)


def time_table(found):
    rows = []
    for one in found:
        samples = [timed.renewal.seconds for timed in one.timed]
        rows.append([one.case.name, f"{one.seconds():.2f}", f"{min(samples):.2f} to {max(samples):.2f}",
                     f"{one.source():.2f}", f"{one.target():.2f}", f"{one.ratio():.2f}", f"{TIME:.2f}",
                     one.time_verdict(), f"{one.together():.2f}", f"{one.seconds() / one.together():.2f}"])
    return table(["changed since the last clone", "re-clone, s", "from to", "reading the source, s",
                  "reading the target, s", "re-clone / slower", "at most", "verdict", "reading both at once, s",
                  "re-clone / both"], rows)


def wire_table(found):
    rows = []
    for one in found:
        stored = one.stored
        rows.append([one.case.name, *map(_mib, (stored.change.pages, stored.change.files, stored.sent, stored.told,
                                                stored.device, stored.packets, one.wire_limit())),
                     one.wire_verdict(), _mib(one.told()), _mib(one.packets())])
    return table(["changed since the last clone", "random pages", "files", "of the disk sent", "`bytes_wire`",
                  "devices", "packets", "at most", "verdict", "compressed: `bytes_wire`", "compressed: packets"], rows)


def _mib(count):
    return f"{count / MIB:.2f}"
