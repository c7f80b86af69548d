#!/usr/bin/python3
"""The verdicts of reclone, and the changes that it makes, without cloning anything."""

import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import changes
import renewals
from bars import MISS, PASS
from processes import Failed
from renewals import Change

GIB = 1 << 30
UNCHANGED, PAGES, UPGRADE, BOTH = renewals.CASES


def renewal(seconds=1.0, change=Change(), told=0, device=0, packets=0):
    return renewals.Renewal(seconds, change, 0, told, device, packets)


def found(*timed, stored=None, case=BOTH):
    """`timed` is (seconds of the re-clone, of the source's read, of the target's)."""
    samples = [renewals.Timed(renewal(seconds), source, target, source + target) for seconds, source, target in timed]
    return renewals.Found(case, GIB, samples, stored or renewal())


class Verdicts(unittest.TestCase):
    def test_the_slower_side_is_the_measure(self):
        for timed, word in (((11.5, 10, 3), PASS), ((11.5, 3, 10), PASS), ((11.6, 10, 3), MISS), ((11.6, 3, 10), MISS)):
            self.assertEqual(found(timed).time_verdict(), word, timed)

    def test_medians_count_and_not_means_or_best_runs(self):
        self.assertEqual(found((10, 10, 1), (11, 10, 1), (90, 10, 1)).time_verdict(), PASS)
        self.assertEqual(found((1, 10, 1), (12, 10, 1), (12, 10, 1)).time_verdict(), MISS)
        self.assertEqual(found((12, 10, 1), (12, 10, 1), (12, 90, 1)).time_verdict(), MISS)

    def test_random_pages_may_cost_more_than_files_and_each_block_something(self):
        blocks = 32 * GIB // 262144
        self.assertEqual(renewals.wire_limit(GIB, Change(pages=1000)), 1500 + blocks)
        self.assertEqual(renewals.wire_limit(GIB, Change(files=1000)), 1200 + blocks)
        self.assertEqual(renewals.wire_limit(GIB, Change(1000, 1000)), 2700 + blocks)
        self.assertEqual(renewals.wire_limit(262145, Change(pages=4096)), 6144 + 64)

    def test_an_unchanged_disk_has_a_thousandth_and_nothing_for_blocks(self):
        self.assertEqual(renewals.wire_limit(GIB, Change()), GIB / 1000)

    def test_the_largest_count_decides_about_the_wire(self):
        limit = int(GIB / 1000)
        for count in ("told", "device", "packets"):
            self.assertEqual(found((1, 1, 1), stored=renewal(**{count: limit})).wire_verdict(), PASS, count)
            self.assertEqual(found((1, 1, 1), stored=renewal(**{count: limit + 1})).wire_verdict(), MISS, count)

    def test_compression_excuses_nothing(self):
        compressed = found((1, 1, 1), (1, 1, 1))
        compressed.timed[1].renewal.packets = int(GIB / 1000) + 1
        self.assertEqual(compressed.wire_verdict(), MISS)

    def test_one_miss_is_enough(self):
        self.assertTrue(found((1, 1, 1)).good())
        self.assertFalse(found((2, 1, 1)).good())
        self.assertFalse(found((1, 1, 1), stored=renewal(packets=GIB)).good())

    def test_the_tables_name_each_case_and_its_verdict(self):
        rows = [found((2, 1, 1), case=PAGES, stored=renewal(change=Change(pages=3 << 20), packets=5 << 20))]
        self.assertIn("| 1 % of the pages             | 2.00", renewals.time_table(rows))
        self.assertIn("| 2.00              | 1.15    | MISS ", renewals.time_table(rows))
        self.assertIn("| 5.00    | 4.62    | MISS", renewals.wire_table(rows))


class Images(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.image = self.path("one")
        with open(self.image, "wb") as file:
            file.write(random.Random(1).randbytes(1 << 20))
            file.truncate(8 << 20)
        self.twin = self.path("other")
        subprocess.run(["cp", "--sparse=always", self.image, self.twin], check=True)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def content(self, path):
        return Path(path).read_bytes()

    def test_bytes_are_counted_by_pages_that_differ(self):
        self.assertEqual(changes.differing_bytes(self.image, self.twin), 0)
        with open(self.twin, "r+b") as file:
            for offset in (0, 4095, 4096 * 300, (8 << 20) - 1):
                file.seek(offset)
                file.write(b"\xff" if self.content(self.image)[offset] != 0xff else b"\0")
        self.assertEqual(changes.differing_bytes(self.image, self.twin), 3 * 4096)
        self.assertEqual(changes.differing_bytes(self.twin, self.image), 3 * 4096)

    def test_images_of_two_sizes_are_not_compared(self):
        os.truncate(self.twin, (8 << 20) - 4096)
        with self.assertRaises(Failed):
            changes.differing_bytes(self.image, self.twin)

    def test_random_pages_are_as_many_as_asked_and_undone_also_in_the_copy(self):
        before, room = self.content(self.image), os.stat(self.image).st_blocks
        pages = changes.RandomPages(self.image, 0.1, random.Random(2))
        self.assertEqual(pages.bytes, 204 * 4096)
        self.assertEqual(changes.differing_bytes(self.image, self.twin), pages.bytes)
        Path(self.twin).write_bytes(self.content(self.image))
        for path in (self.image, self.twin):
            pages.undo(path)
            self.assertTrue(self.content(path) == before, path)
        # Its map of holes may have grown by a few blocks; the pages were 1600 sectors.
        self.assertLessEqual(os.stat(self.image).st_blocks, room + 64)

    def test_no_share_is_no_change(self):
        self.assertEqual(changes.RandomPages(self.image, 0, random.Random(3)).bytes, 0)
        self.assertEqual(changes.differing_bytes(self.image, self.twin), 0)


class Upgrades(unittest.TestCase):
    STATUS = "Package: a\nStatus: install ok installed\nVersion: 1.0\n\nPackage: b\nVersion: 2:1~3\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.put("boot/vmlinuz-6.1.0-9-amd64", b"kernel" * 1000)
        self.put("boot/grub/grub.cfg", b"menu")
        for number in range(50):
            self.put(f"usr/lib/lib{number}.so.{number}", bytes([number]) * (4000 + 10 * number))
        self.put("usr/share/doc/readme", b"text")
        self.put("var/log/dpkg.log", b"")
        self.put("var/lib/dpkg/status", self.STATUS.encode())
        for name in "abcdefghi":
            self.put(f"var/lib/dpkg/info/{name}.list", b"/usr\n")

    def put(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def contents(self):
        return {path.relative_to(self.root): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def test_programs_the_kernel_and_the_records_are_replaced_and_nothing_else(self):
        os.chmod(self.root / "usr/lib/lib3.so.3", 0o751)
        before = self.contents()
        done = changes.upgrade_tree(self.root, 1 << 30, random.Random(5))
        after = self.contents()
        self.assertEqual(set(after) - set(before), {Path("var/lib/dpkg/status-old")})
        for name, content in before.items():
            program = "lib/lib" in str(name) or name.name.startswith("vmlinuz")
            kept = name.name in ("grub.cfg", "readme") or name.suffix == ".list"
            if program:
                self.assertTrue(after[name] != content, name)
                self.assertLess(abs(len(after[name]) - len(content)), 0.3 * len(content), name)
            elif kept:
                self.assertTrue(after[name] == content, name)
        self.assertGreaterEqual(done.files, 52)
        self.assertEqual((self.root / "usr/lib/lib3.so.3").stat().st_mode & 0o7777, 0o751)
        self.assertEqual(after[Path("var/lib/dpkg/status-old")], self.STATUS.encode())

    def test_it_ends_when_there_is_enough(self):
        before = self.contents()
        changes.upgrade_tree(self.root, 6000 + 10 * 4500, random.Random(5))
        after = self.contents()
        replaced = [name for name in before if "lib/lib" in str(name) and before[name] != after[name]]
        self.assertTrue(8 <= len(replaced) <= 12, replaced)

    def test_each_file_is_a_new_one(self):
        before = (self.root / "boot/vmlinuz-6.1.0-9-amd64").stat().st_ino
        changes.upgrade_tree(self.root, 1 << 30, random.Random(5))
        self.assertNotEqual((self.root / "boot/vmlinuz-6.1.0-9-amd64").stat().st_ino, before)

    def test_a_disk_without_programs_is_no_server(self):
        with tempfile.TemporaryDirectory() as empty, self.assertRaises(Failed):
            changes.upgrade_tree(Path(empty), 1, random.Random(5))

    def test_only_versions_are_raised_and_not_all(self):
        many = self.STATUS * 100
        raised = changes.raised(many, random.Random(6))
        self.assertEqual(raised.replace("+u1\n", "\n"), many)
        self.assertTrue(40 < raised.count("+u1") < 95, raised.count("+u1"))


class Arguments(unittest.TestCase):
    def test_wrong_arguments_are_refused_before_anything_is_measured(self):
        for words, complaint in ((["--runs", "0"], "--runs is at least 1"),
                                 (["--size", "1"], "--size is at least 2"),
                                 (["--size", "2G"], "invalid int value: '2G'")):
            done = subprocess.run([HERE / "reclone", *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(complaint, done.stderr)


if __name__ == "__main__":
    unittest.main()
