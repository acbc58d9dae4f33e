"""Figures of the simulator, for bench/run: whole processes, one after the other, from their start to their end.

sim.cluster      the standard scenario, faults on, 60 virtual seconds, many seeds. Counts only at the density of work
                 that sim.commits and sim.pages show.
sim.idle         a cluster that nobody uses, for an hour of virtual time.
sim.saturation   computes that never pause: events of the simulated world for each second of the process.
sim.memory       the most that any of these processes had, resident.

The share of time by part comes from samples of `perf` over runs of the standard scenario: a sample belongs to the
innermost function that says what it is for.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter

IDLE_SECONDS, SATURATION_SECONDS = 3600, 2
SEEDS_OF_EXTREMES, SEEDS_OF_PARTS = 9, 20

# (name, unit, better, wanted)
FIGURES = [("sim.cluster", "s/s", "more", 1000), ("sim.commits", "/s", "more", 5), ("sim.pages", "/s", "more", 5),
           ("sim.idle", "s/s", "more", 10_000), ("sim.saturation", "ev/s", "more", 300_000),
           ("sim.memory", "MiB", "less", 256)]
NAMES = [name for name, *_ in FIGURES]

# What a function is for; the first that fits.
KINDS = [("memory", r"^(malloc|free|cfree|calloc|realloc|_int_|unlink_chunk|operator (new|delete))|take_fresh|take_slab"),
         ("hash and checksums", r"XXH|hash(64|128)|crc|compute_page_checksum"),
         ("unwinding", r"_Unwind|__cxa|__gxx"),
         ("oracles", r"argon::scenarios::|argon::compute::(ReferenceModel|verify)"),
         ("sim loop, network, disk", r"argon::(sim|faults)::"),
         ("fibers", r"argon::fiber::|jump_fcontext|argon::WaitList"),
         ("consensus", r"argon::consensus::"),
         ("wire", r"argon::(wire|rpc|http)::|google::protobuf"),
         ("redo", r"argon::pg::redo::"),
         ("WAL records, pages", r"argon::pg::"),
         ("layers", r"argon::pageserver::(Layer|Memory|Catalog|Key|Value|reconstruct|to_string|parse_layer)"),
         ("pageserver", r"argon::(pageserver|objstore)::"),
         ("safekeeper", r"argon::safekeeper::"),
         ("broker", r"argon::broker::"),
         ("compute", r"argon::compute::")]
KINDS = [(name, re.compile(pattern)) for name, pattern in KINDS]
FILES = [("kernel", "kernel.kallsyms"), ("process start", "ld-linux"), ("hash and checksums", "xxhash"),
         ("hash and checksums", "isal"), ("unwinding", "libgcc_s"), ("wire", "protobuf")]


def run(build, scenario, seed, seconds=60):
    """The run's report, with `wall` seconds and `memory` MiB of its processes; `ok` where it held."""
    began = time.perf_counter()
    process = subprocess.Popen([build / "bin" / "argon-sim", "run", scenario, "--seed", str(seed), "--seconds",
                                str(seconds), "--json"], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    report = json.loads(said.splitlines()[-1]) | {"wall": wall, "memory": usage.ru_maxrss / 1024}
    report["ok"] = process.returncode == 0 and report["ok"]
    if not report["ok"]:
        print(f"argon-sim run {scenario} --seed {seed} --seconds {seconds}: {report.get('failure')}", file=sys.stderr)
    return report


def measure(build, name, seeds):
    """Yields (figure, value) of those whose names begin so. Runs that failed do not count; where there are any, ends
    with RuntimeError."""
    wanted = [figure for figure in FIGURES if figure[0].startswith(name)]
    names = {figure[0] for figure in wanted}
    memory, failed = [], set()

    def median_of(runs, of):
        memory.append(max(run["memory"] for run in runs))
        failed.update((run["scenario"], run["seed"]) for run in runs if not run["ok"])
        return statistics.median(of(run) for run in runs if run["ok"])

    values = {}
    if names & {"sim.cluster", "sim.commits", "sim.pages", "sim.memory"}:
        runs = [run(build, "cluster", seed) for seed in range(1, seeds + 1)]
        values["sim.cluster"] = median_of(runs, lambda r: r["virtual_seconds"] / r["wall"])
        values["sim.commits"] = median_of(runs, lambda r: r["commits_acked"] / r["virtual_seconds"])
        values["sim.pages"] = median_of(runs, lambda r: r["pages_checked"] / r["virtual_seconds"])
    few = range(1, min(seeds, SEEDS_OF_EXTREMES) + 1)
    if names & {"sim.idle", "sim.memory"}:
        values["sim.idle"] = median_of([run(build, "idle", seed, IDLE_SECONDS) for seed in few],
                                       lambda r: r["virtual_seconds"] / r["wall"])
    if names & {"sim.saturation", "sim.memory"}:
        values["sim.saturation"] = median_of([run(build, "saturation", seed, SATURATION_SECONDS) for seed in few],
                                             lambda r: r["events"] / r["wall"])
    values["sim.memory"] = max(memory)
    for figure in wanted:
        yield figure, values[figure[0]]
    if failed:
        raise RuntimeError("failed: " + ", ".join(f"{scenario} --seed {seed}" for scenario, seed in sorted(failed)))


def part_of(stack):
    """Of (function, file) from the innermost on."""
    if not stack:
        return "other"
    for part, file in FILES:
        if file in stack[0][1]:
            return part
    for function, _ in stack:
        for part, pattern in KINDS:
            if pattern.search(function):
                return part
    return "other"


def shares(lines):
    """Share of samples by part, of what `perf script -F ip,sym,dso` prints."""
    parts, stack = Counter(), []
    for line in [*lines, ""]:
        frame = re.match(r"\s*[0-9a-f]+ (.*) \(([^()]*)\)$", line.rstrip())
        if frame:
            stack.append((frame.group(1), frame.group(2)))
        elif not line.strip() and stack:
            parts[part_of(stack)] += 1
            stack = []
    total = sum(parts.values())
    return {part: count / total for part, count in parts.most_common()}


def parts(build):
    """Share of time by part over runs of the standard scenario; or a text that says why there are none."""
    if shutil.which("perf") is None:
        return "shares of time by part: there is no `perf` here (Debian: linux-perf)"
    with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
        data = f"{folder}/perf.data"
        loop = f'for seed in $(seq {SEEDS_OF_PARTS}); do "$0" run cluster --seed $seed --json >/dev/null; done'
        record = subprocess.run(["perf", "record", "-e", "cpu-clock", "-F", "2000", "-g", "-o", data, "--", "sh", "-c", loop,
                                 build / "bin" / "argon-sim"], capture_output=True, text=True)
        if record.returncode != 0:
            return "shares of time by part: perf cannot record here: " + record.stderr.strip().splitlines()[0]
        script = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym,dso"], capture_output=True, text=True)
        return shares(script.stdout.splitlines())
