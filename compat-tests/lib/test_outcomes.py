"""What counts as passed, failed and skipped. Run with: python3 -m unittest discover -s compat-tests/lib"""

import pathlib
import tempfile
import unittest

import outcomes


def verdict(promise, result, side="klamm", skips_allowed=False):
    """The verdict on one test, given its promise and what it printed (None: nothing, while another test ran)."""
    results = {"other": ("PASS", "")}
    if result:
        results["test"] = (result, "why")
    judged = outcomes.judge({"test": promise, "other": "pass"}, results, side, skips_allowed)
    return {outcome.name: outcome.verdict for outcome in judged}["test"]


class Judge(unittest.TestCase):
    def test_a_promised_pass_passes(self):
        self.assertEqual(verdict("pass", "PASS"), "passed")

    def test_whatever_is_not_as_promised_fails(self):
        self.assertEqual(verdict("pass", "FAIL"), "failed")
        self.assertEqual(verdict("pass", "SKIP"), "failed")
        self.assertEqual(verdict("pass", None), "failed")
        self.assertEqual(verdict("fail:#7 reason", "PASS"), "failed")
        self.assertEqual(verdict("fail:#7 reason", None), "failed")

    def test_an_expected_failure_and_a_test_that_does_not_apply_are_skipped(self):
        self.assertEqual(verdict("fail:#7 reason", "FAIL"), "skipped")
        self.assertEqual(verdict("na:groups come later", None), "skipped")

    def test_a_skip_is_allowed_only_where_the_broker_is_not_ours(self):
        self.assertEqual(verdict("pass", "SKIP", skips_allowed=True), "skipped")

    def test_an_unlisted_test_and_an_empty_suite_fail(self):
        unlisted = outcomes.judge({}, {"test": ("PASS", "")}, "klamm", False)
        self.assertEqual([outcome.verdict for outcome in unlisted], ["failed"])
        empty = outcomes.judge({}, {}, "klamm", False)
        self.assertEqual([outcome.verdict for outcome in empty], ["failed"])

    def test_with_no_broker_a_pass_fails(self):
        self.assertEqual(verdict("pass", "PASS", side="nobody"), "failed")
        self.assertEqual(verdict("pass", "FAIL", side="nobody"), "passed")


class Files(unittest.TestCase):
    def test_the_last_line_of_a_test_counts_and_other_lines_do_not(self):
        with tempfile.TemporaryDirectory() as directory:
            log = pathlib.Path(directory) / "log"
            log.write_text("PASS a.b\nFAIL a.b: lost\n  PASS indented\nPASSED c\nSKIP d: no files\n")
            self.assertEqual(outcomes.read_log(log), {"a.b": ("FAIL", "lost"), "d": ("SKIP", "no files")})

    def test_the_third_column_is_for_apache_kafka(self):
        with tempfile.TemporaryDirectory() as directory:
            expected = pathlib.Path(directory) / "expected.tsv"
            expected.write_text("# test\tKlamm\nx\tpass\tfail:KAFKA-1 reason\n")
            self.assertEqual(outcomes.read_expected(expected, "klamm"), {"x": "pass"})
            self.assertEqual(outcomes.read_expected(expected, "official"), {"x": "fail:KAFKA-1 reason"})


if __name__ == "__main__":
    unittest.main()
