#!/usr/bin/env python3
"""ci/campaign in small: what it claims it did, what it finds it reports, keeps and repeats.

usage: campaign_test.py TREE    (the preset release is built)
"""

import importlib.machinery
import importlib.util
import subprocess
import sys
import tempfile
import types
import unittest
from pathlib import Path

TREE = Path(sys.argv.pop(1)).resolve()


def load_campaign():
    loader = importlib.machinery.SourceFileLoader("campaign", str(TREE / "ci/campaign"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("campaign", loader))
    loader.exec_module(module)
    return module


class CampaignTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="argon-campaign-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.record = self.folder / "record.tsv"

    def campaign(self, *words):
        command = [TREE / "ci/campaign", "--for", "3s", "--no-build", "--seconds", "5", "--jobs", "2", "--record",
                   self.record, "--keep", self.folder / "kept", *words]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def rows(self):
        return [line.split("\t") for line in self.record.read_text().splitlines()]

    def test_what_was_searched_is_recorded_and_the_next_campaign_searches_elsewhere(self):
        ran = self.campaign("--only", "seeds", "--only", "properties", "--only", "determinism")
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertTrue(ran.stdout.endswith("campaign: clean\n"), ran.stdout)
        claims = {row[1].rsplit(" ", 1)[0]: row for row in self.rows()}
        self.assertTrue(all(len(row) == 5 and int(row[2]) > 0 and row[4] == "clean" for row in self.rows()), ran.stdout)
        self.assertIn("seeds cluster", claims)
        self.assertIn("determinism", claims)
        first, last = (int(n) for n in claims["seeds cluster"][1].rsplit(" ", 1)[1].split(".."))
        self.assertEqual(int(claims["seeds cluster"][2]), last - first + 1)
        before = len(self.rows())
        ran = self.campaign("--only", "seeds", "--scenario", "durable-log")
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertIn(f"seeds durable-log {last + 1}..", self.rows()[before][1])

    def test_a_seed_whose_runs_differ_is_reported_kept_and_repeats(self):
        ran = self.campaign("--only", "seeds", "--scenario", "selftest-leak")
        self.assertEqual(ran.returncode, 1, ran.stdout)
        self.assertIn("two runs differ", ran.stdout)
        self.assertIn("failed", self.rows()[0][4])
        command = next((self.folder / "kept").glob("*/failure-001-*/command")).read_text()
        self.assertEqual(subprocess.run(command, shell=True, stdout=subprocess.DEVNULL).returncode, 3, command)

    def test_a_canary_that_nobody_reports_fails_the_campaign(self):
        module = load_campaign()
        options = types.SimpleNamespace(keep=self.folder / "kept", canary_seeds=3, seconds=5, jobs=1)
        campaign = module.Campaign(options)
        canary = module.Canary(campaign)
        # The healthy program in the place of the broken one.
        canary.hunt(TREE / "build/release/bin/argon-sim", "healthy", "durable-log")
        self.assertIsNone(canary.reported)
        self.assertEqual([what for what, _, _ in campaign.failures], ["canary healthy"])
        page = module.summary(campaign, [canary], module.result_rows(campaign, [canary]))
        self.assertIn("canary: NOT reported", page)

    def test_every_property_of_the_tree_is_known(self):
        names = [name for name, _ in load_campaign().find_properties()]
        self.assertIn("Plan.PrintsAndParses", names)  # RC_GTEST_PROP
        self.assertTrue(any(name.startswith("WalStream") for name in names), names)  # rc::check in a TEST
        self.assertEqual(len(names), len(set(names)))

    def test_usage(self):
        self.assertEqual(self.campaign("--only", "nothing").returncode, 2)
        self.assertEqual(subprocess.run([TREE / "ci/campaign", "--for", "5x"], stderr=subprocess.DEVNULL).returncode, 2)


if __name__ == "__main__":
    unittest.main()
