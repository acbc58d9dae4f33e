#!/usr/bin/env python3
"""bench/flamegraph on what `perf script` prints. usage: flamegraph_test.py"""

import re
import subprocess
import sys
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent / "flamegraph"
SAMPLES = """\
argon-sim 7 1.000: 250000 cpu-clock:pppH:
\t           166aa leaf<int, (a)1>+0x1a (/usr/bin/argon-sim)
\t           166ab caller+0x1a (/usr/bin/argon-sim)
\t               0 [unknown] ([unknown])

argon-sim 7 1.001: 250000 cpu-clock:pppH:
\t           166ab caller+0x1c (/usr/bin/argon-sim)

argon-sim 7 1.002: 250000 cpu-clock:pppH:
\t           20000 [unknown] (/usr/lib/libc.so.6)
"""


def draw(text):
    return subprocess.run([sys.executable, PROGRAM], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class FlameGraph(unittest.TestCase):
    def test_a_box_is_as_wide_as_its_share_and_callers_are_below(self):
        drawn = draw(SAMPLES)
        self.assertEqual(drawn.returncode, 0, drawn.stderr)
        boxes = dict(re.findall(r'<title>([^:]*): [^<]*</title>(<rect [^>]*>)', drawn.stdout))
        self.assertEqual(set(boxes), {"all", "caller", "leaf&lt;int, (a)1&gt;", "[libc.so.6]"})
        size = {name: {key: float(value) for key, value in re.findall(r'(x|y|width)="([\d.]+)"', box)}
                for name, box in boxes.items()}
        self.assertAlmostEqual(size["caller"]["width"], 1600 * 2 / 3, delta=0.1)
        self.assertAlmostEqual(size["leaf&lt;int, (a)1&gt;"]["width"], 1600 / 3, delta=0.1)
        self.assertGreater(size["caller"]["y"], size["leaf&lt;int, (a)1&gt;"]["y"])

    def test_no_samples_is_an_error(self):
        drawn = draw("perf: nothing\n")
        self.assertEqual((drawn.returncode, drawn.stdout), (1, ""))
        self.assertIn("no samples", drawn.stderr)


if __name__ == "__main__":
    unittest.main()
