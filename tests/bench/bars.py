"""The bars: which contestant is measured against which, how much faster we have to be, and what came of it."""

import statistics
from dataclasses import dataclass

import contestants as who
from links import GIGABIT, UNSHAPED

SCALING = 1.10  # the slowest GiB of 2, 4 and 8 GiB of random data may take this much longer than the fastest
PASS, MISS, FAILED, NOT_MEASURED, NO_BAR = "pass", "MISS", "failed", "not measured", "no bar"


@dataclass(frozen=True)
class Bar:
    image: str  # "random" or "real"
    link: str
    ours: str
    peer: str
    ways: tuple  # the ways in which the peer was tried; its best counts
    ratio: float  # the peer's time divided by ours, at least; None if it is only shown

    def contestants(self):
        return (self.ours, *self.ways)

    def wanted(self):
        return "" if self.ratio is None else f"{self.ratio:g}"

    def how(self):
        """What of ours it is, as an operator would say it."""
        return {who.OURS: "TLS", who.OURS_PLAIN: "`--insecure`", who.OURS_USED: "TLS, `--used-only`",
                who.OURS_NBD: "`--insecure`, into an NBD export"}[self.ours]

    def label(self):
        return f"{self.image}, {self.link}, {self.how()} against {self.peer}"


_PLAIN = ("nbdcopy, plain", (who.NBDCOPY, who.NBDCOPY_PUSHED))
_TLS = ("nbdcopy, TLS-PSK", (who.NBDCOPY_TLS, who.NBDCOPY_TLS_PUSHED))
_AES = ("nbdcopy, TLS-PSK, AES forced", (who.NBDCOPY_AES, who.NBDCOPY_AES_PUSHED))


def _alone(peer):
    return peer, (peer,)


BARS = (
    Bar("random", UNSHAPED, who.OURS_PLAIN, *_PLAIN, 1.0),
    Bar("random", UNSHAPED, who.OURS, *_TLS, 4),
    Bar("random", UNSHAPED, who.OURS, *_AES, None),  # what the bar above owes to the peer's cipher
    Bar("random", UNSHAPED, who.OURS, *_PLAIN, 0.8),
    Bar("random", UNSHAPED, who.OURS, *_alone(who.NETCAT), 3),
    Bar("random", UNSHAPED, who.OURS_NBD, "nbdcopy, plain, pushed", (who.NBDCOPY_PUSHED,), 0.8),
    Bar("real", UNSHAPED, who.OURS, *_PLAIN, 0.9),
    Bar("real", GIGABIT, who.OURS, *_alone(who.NETCAT), 5),
    Bar("real", GIGABIT, who.OURS, *_alone(who.ZSTD), 1.2),
    Bar("real", GIGABIT, who.OURS, *_PLAIN, 2.5),
    Bar("real", GIGABIT, who.OURS_USED, who.PARTCLONE, (who.PARTCLONE, who.PARTCLONE_BARE), 1.5),
)


@dataclass
class Times:
    """All samples of one contestant with one image over one link; or why there are none."""
    size: int
    samples: list
    failure: str = ""
    missing: str = ""

    def seconds(self):
        return statistics.median(sample.seconds for sample in self.samples)

    def cpu_per_gb(self):
        return statistics.median(sample.cpu for sample in self.samples) / (self.size / 1e9)

    def gib_per_second(self):
        return self.size / 2**30 / self.seconds()

    def usable(self):
        return bool(self.samples) and not self.failure and not self.missing


@dataclass
class Verdict:
    word: str
    reason: str = ""
    ours: Times = None
    peer: Times = None
    way: str = ""

    def ratio(self):
        return self.peer.seconds() / self.ours.seconds()


def judge(bar, times):
    """`times` is what was measured with the bar's image over its link, by contestant."""
    ours = times[bar.ours]
    if ours.missing:
        return Verdict(NOT_MEASURED, ours.missing)
    if not ours.usable():
        return Verdict(FAILED, f"{bar.ours}: {ours.failure}")
    ways = {way: times[way] for way in bar.ways}
    if broken := [f"{way}: {tried.failure or tried.missing}" for way, tried in ways.items() if not tried.usable()]:
        return Verdict(FAILED, "; ".join(broken))  # the way that failed may have been the peer's best
    way = min(ways, key=lambda name: ways[name].seconds())
    verdict = Verdict(PASS, ours=ours, peer=ways[way], way=way)
    if bar.ratio is None:
        verdict.word = NO_BAR
    elif verdict.ratio() < bar.ratio:
        verdict.word = MISS
    return verdict


def judge_scaling(times):
    """`times` are ours with random data, by size. The word, and the slowest GiB's time divided by the fastest's."""
    per_gib = [1 / one.gib_per_second() for one in times if one.usable()]
    if len(per_gib) < len(times):
        return FAILED, None
    spread = max(per_gib) / min(per_gib)
    return (PASS if spread <= SCALING else MISS), spread


def table(head, rows):
    """A table of Markdown that is also one for eyes."""
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def bars_table(bars, verdicts, names):
    rows = []
    for bar, verdict in zip(bars, verdicts):
        row = [f"{names[bar.image]}, {bar.link}, {bar.how()}", bar.peer]
        if verdict.ours:
            rows.append([*row, f"{verdict.ours.seconds():.2f}", f"{verdict.ours.gib_per_second():.2f}",
                         f"{verdict.peer.seconds():.2f}", f"{verdict.peer.gib_per_second():.2f}",
                         f"{verdict.ratio():.2f}", bar.wanted(), verdict.word])
        else:
            rows.append([*row, "", "", "", "", "", bar.wanted(), verdict.word])
    return table(["image, link, ours", "against", "ours, s", "GiB/s", "peer's, s", "GiB/s", "peer's / ours", "at least",
                  "verdict"], rows)


def contestants_table(measured, names):
    """Everything that was measured: {(image, link): {contestant: Times}}."""
    rows = []
    for (image, link), times in measured.items():
        for name, one in times.items():
            row = [f"{names[image]}, {link}", name]
            if one.usable():
                samples = [sample.seconds for sample in one.samples]
                rows.append([*row, f"{one.seconds():.2f}", f"{min(samples):.2f} to {max(samples):.2f}",
                             f"{one.gib_per_second():.2f}", f"{one.cpu_per_gb():.2f}"])
            else:
                rows.append([*row, NOT_MEASURED if one.missing else FAILED, "", "", ""])
    return table(["image, link", "contestant", "seconds", "from to", "GiB/s", "core-seconds per GB"], rows)


def scaling_table(times, word, spread):
    rows = [[f"{one.size / 2**30:g} GiB", f"{one.seconds():.2f}", f"{1 / one.gib_per_second():.3f}"]
            if one.usable() else [f"{one.size / 2**30:g} GiB", FAILED, ""] for one in times]
    text = table(["random, unshaped, TLS", "seconds", "seconds per GiB"], rows)
    if spread:
        text += f"\n\nSlowest to fastest GiB: {spread:.3f}, at most {SCALING:.2f}: {word}"
    return text
