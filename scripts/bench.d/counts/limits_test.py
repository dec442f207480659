"""The gate itself: what is above its limit fails and shows both figures."""

import pathlib
import tempfile
import unittest

from counts.limits import Limits
from counts.measure import Measure

TOOLCHAIN = ["rustc version 1.90.0"]
OTHER = ["rustc version 1.91.0"]


class LimitsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "limits.json"
        self.path.write_text(
            '{"dev": {"toolchain": ["rustc version 1.90.0"], "measures": {"produce": 1000, "none": 0, "hot": {"at most": 0}}}}'
        )

    def verdict(self, measure, toolchain=TOOLCHAIN, profile="dev"):
        return Limits(self.path, profile).verdict(measure, toolchain)

    def test_a_figure_within_the_margin_passes_without_a_word(self):
        for value in [950, 1000, 1050]:
            verdict = self.verdict(Measure("produce", value))
            self.assertEqual((verdict.outcome, verdict.text), ("passed", None))

    def test_a_figure_above_the_margin_fails_with_both_figures(self):
        verdict = self.verdict(Measure("produce", 1051, {"new_place": 51, "elsewhere": 0}))
        self.assertEqual(verdict.outcome, "failed")
        self.assertEqual(
            verdict.text, "produce: 1,051, recorded 1,000 (+5.1%), more than 5% above\n    51.00 new_place"
        )

    def test_a_better_figure_passes_with_the_hint_to_record_it(self):
        verdict = self.verdict(Measure("produce", 940))
        self.assertEqual(verdict.outcome, "passed")
        self.assertIn("produce: 940.00, recorded 1,000 (-6.0%)", verdict.text)
        self.assertIn("--record", verdict.text)

    def test_a_bound_is_held_as_written(self):
        self.assertEqual(self.verdict(Measure("hot", 0)).outcome, "passed")
        verdict = self.verdict(Measure("hot", 0.01))
        self.assertEqual((verdict.outcome, verdict.text), ("failed", "hot: 0.01, at most 0.00 is allowed"))

    def test_what_was_recorded_as_none_may_not_become_some(self):
        self.assertEqual(self.verdict(Measure("none", 0)).outcome, "passed")
        self.assertEqual(self.verdict(Measure("none", 0.01)).outcome, "failed")

    def test_another_compiler_widens_the_margin_of_what_depends_on_it(self):
        verdict = self.verdict(Measure("produce", 1200, compiled=True), OTHER)
        self.assertEqual(verdict.outcome, "skipped")
        self.assertIn("rustc version 1.90.0", verdict.text)
        self.assertEqual(self.verdict(Measure("produce", 1251, compiled=True), OTHER).outcome, "failed")
        self.assertEqual(self.verdict(Measure("produce", 1200), OTHER).outcome, "failed")

    def test_a_measure_or_a_profile_without_a_limit_fails(self):
        self.assertEqual(self.verdict(Measure("new", 1)).outcome, "failed")
        self.assertEqual(self.verdict(Measure("produce", 1), profile="release").outcome, "failed")

    def test_recording_keeps_bounds_and_other_profiles(self):
        measures = [Measure("produce", 1200.123), Measure("hot", 3), Measure("new", 7.123)]
        Limits(self.path, "dev").record(measures, OTHER)
        Limits(self.path, "release").record([Measure("produce", 500)], OTHER)
        self.assertEqual(Limits(self.path, "dev").profiles, {
            "dev": {"toolchain": OTHER, "measures": {"produce": 1200, "hot": {"at most": 0}, "new": 7.12}},
            "release": {"toolchain": OTHER, "measures": {"produce": 500}},
        })


if __name__ == "__main__":
    unittest.main()
