#!/usr/bin/python3
"""The verdicts of clone-vs-peers, without copying anything."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import bars
import images
import report
from contestants import Sample
from processes import Failed, Pipeline, last_line, wait_for_all

BAR = bars.Bar("random", "unshaped", "coldspare", "nbdcopy", ("pulled", "pushed"), 2.0)


def times(*seconds, size=2 << 30, **why_not):
    return bars.Times(size, [Sample(one, 1.0) for one in seconds], **why_not)


def judged(ours, pulled, pushed, bar=BAR):
    return bars.judge(bar, {"coldspare": ours, "pulled": pulled, "pushed": pushed})


class Verdicts(unittest.TestCase):
    def test_a_bar_is_met_by_medians_not_by_means_or_best_runs(self):
        verdict = judged(times(1, 1, 90), times(2, 2, 2), times(5, 5, 5))
        self.assertEqual((verdict.word, verdict.ratio()), (bars.PASS, 2.0))

    def test_the_peers_better_way_counts(self):
        verdict = judged(times(1), times(3), times(1.9))
        self.assertEqual((verdict.word, verdict.way), (bars.MISS, "pushed"))

    def test_a_peer_that_failed_in_one_way_is_not_beaten(self):
        verdict = judged(times(1), times(9), times(9, failure="it broke"))
        self.assertEqual((verdict.word, verdict.reason), (bars.FAILED, "pushed: it broke"))

    def test_ours_failing_is_a_failure_and_an_option_to_come_is_none(self):
        self.assertEqual(judged(times(failure="no"), times(1), times(1)).word, bars.FAILED)
        self.assertEqual(judged(times(missing="not yet"), times(1), times(1)).word, bars.NOT_MEASURED)

    def test_what_has_no_bar_cannot_be_missed(self):
        shown = bars.Bar("random", "unshaped", "coldspare", "nbdcopy", ("pulled", "pushed"), None)
        self.assertEqual(judged(times(9), times(1), times(1), shown).word, bars.NO_BAR)

    def test_a_run_is_good_only_without_misses_and_failures(self):
        for word, good in ((bars.PASS, True), (bars.NOT_MEASURED, True), (bars.MISS, False), (bars.FAILED, False)):
            result = report.Result({}, 1, [], [], verdicts=[bars.Verdict(bars.PASS), bars.Verdict(word)])
            self.assertEqual(result.good(), good, word)

    def test_time_per_gib_may_grow_by_a_tenth(self):
        grown = [times(2.0, size=2 << 30), times(4.2, size=4 << 30), times(8.79, size=8 << 30)]
        self.assertEqual(bars.judge_scaling(grown)[0], bars.PASS)
        self.assertEqual(bars.judge_scaling([*grown[:2], times(8.9, size=8 << 30)])[0], bars.MISS)
        self.assertEqual(bars.judge_scaling([*grown[:2], times(failure="no", size=8 << 30)])[0], bars.FAILED)


class Text(unittest.TestCase):
    def test_a_pipe_in_a_name_does_not_end_its_cell(self):
        self.assertIn("| dd \\| nc |", bars.table(["peer"], [["dd | nc"]]))

    def test_the_document_keeps_what_people_wrote(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "doc.md"
            begin, end = report.FIGURES
            path.write_text(f"before\n{begin}\nold\n{end}\nafter\n", encoding="utf-8")
            report.write_doc(path, "new", report.FIGURES)
            self.assertEqual(path.read_text(encoding="utf-8"),
                             f"before\n{begin}\n\nnew\n\n{end}\nafter\n")
            path.write_text("no markers\n", encoding="utf-8")
            with self.assertRaises(Failed):
                report.write_doc(path, "new", report.FIGURES)
            self.assertEqual(path.read_text(encoding="utf-8"), "no markers\n")

    def test_the_repository_s_document_has_the_marker_lines(self):
        text = (images.REPO / "docs/PERFORMANCE.md").read_text(encoding="utf-8")
        for begin, end in (report.FIGURES, report.RECLONE):
            self.assertLess(0, text.find(begin + "\n"))
            self.assertLess(text.find(begin), text.find(end + "\n"))

    def test_sizes_are_whole_mebibytes(self):
        self.assertEqual(images.parse_size("2G"), 2 << 30)
        self.assertEqual(images.parse_size("1048576"), 1 << 20)
        for bad in ("", "G", "0G", "-1G", "5x", "1000", "512K"):
            with self.assertRaises(ValueError, msg=bad):
                images.parse_size(bad)

    def test_wrong_arguments_are_refused_before_anything_is_measured(self):
        for words, complaint in ((["--only", "tape"], "no bar's line contains 'tape'"),
                                 (["--runs", "0"], "--runs is at least 1"),
                                 (["--image", "random:2X"], "'random:2X' is no size"),
                                 (["--image", "missing.img"], "there is no image 'missing.img'"),
                                 (["--image", "random:1G", "--only", "real"], "no bar is left"),
                                 (["--write-doc", "--only", "real"], "--write-doc takes all bars")):
            done = subprocess.run([HERE / "clone-vs-peers", *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(complaint, done.stderr)


class Pipelines(unittest.TestCase):
    def test_the_first_stage_that_fails_is_named_and_the_others_are_not_waited_for(self):
        with Pipeline(["sh", "-c", "echo 'no such disk' >&2; echo '  hint: look' >&2; exit 3"], ["cat"]) as one, \
                Pipeline(["sleep", "600"]) as other:
            with self.assertRaises(Failed) as caught:
                wait_for_all(one, other)
        self.assertEqual(str(caught.exception), "'sh' exits 3: no such disk")
        self.assertTrue(all(process.poll() is not None for process in other.processes))

    def test_what_goes_in_comes_out(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "out"
            with Pipeline(["echo", "disk"], ["tr", "d", "r"], stdout=path) as one:
                wait_for_all(one)
            self.assertEqual(path.read_text(encoding="utf-8"), "risk\n")

    def test_silence_is_said(self):
        self.assertEqual(last_line("\n hint: nothing\n"), "it says nothing")


if __name__ == "__main__":
    unittest.main()
