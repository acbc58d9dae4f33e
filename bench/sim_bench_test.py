#!/usr/bin/env python3
"""Shares of time by part, of what `perf script` prints. usage: sim_bench_test.py"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import sim_bench  # noqa: E402

SAMPLES = """
            1234 __memmove_avx512 (/usr/lib/libc.so.6)
            1235 argon::sim::Inode::read(unsigned long, std::span<unsigned char>) const (/bin/argon-sim)
            1236 argon::safekeeper::WalStorage::read(argon::Task&) (/bin/argon-sim)

            1234 malloc (/usr/lib/libc.so.6)
            1236 argon::safekeeper::WalStorage::read(argon::Task&) (/bin/argon-sim)

            1234 clear_page_erms ([kernel.kallsyms])
            1236 argon::pg::redo::apply() (/bin/argon-sim)

            1236 argon::pg::redo::apply() (/bin/argon-sim)
            1236 argon::compute::ModelWriter::tell() (/bin/argon-sim)
"""


class Shares(unittest.TestCase):
    def test_a_sample_belongs_to_the_innermost_function_that_says_what_it_is_for(self):
        found = sim_bench.shares(SAMPLES.splitlines())
        self.assertEqual(found, {"sim loop, network, disk": 0.25, "memory": 0.25, "kernel": 0.25, "redo": 0.25})


if __name__ == "__main__":
    unittest.main()
