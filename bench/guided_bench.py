"""How much sooner `explore --guided` finds bugs that need two and three rare events in a row than plain seeds do.

Runs of the simulator until the first failure, in campaigns of other seeds, one job: the median of each side. A campaign
that finds nothing within MOST runs counts as MOST.
"""
import json
import statistics
import subprocess
import tempfile

NAMES = {"guided.two_rare_events": ("selftest-rare-two", 5), "guided.three_rare_events": ("selftest-rare-three", 20)}
CAMPAIGNS = range(1, 8)
MOST = 20_000


def runs_to_failure(program, scenario, campaign, guided):
    first = campaign * 1_000_000 + 1
    command = [program, "explore", scenario, "--seeds", f"{first}..{first + MOST - 1}", "--jobs", "1", "--stop-after", "1",
               "--quiet", "--json"]
    if guided:
        command += ["--guided", "--seed", str(campaign)]
    with tempfile.TemporaryDirectory(prefix="argon-bench-") as folder:
        done = subprocess.run(command + ["--failures", folder], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(" ".join(map(str, command)) + "\n" + done.stderr)
    return json.loads(done.stdout.splitlines()[-1])["runs"]


def measure(build, name):
    """Of each figure that `name` begins: its name, guided runs, plain runs, how many times as many are wanted."""
    program = build / "bin" / "argon-sim"
    for figure, (scenario, wanted) in NAMES.items():
        if not figure.startswith(name):
            continue
        guided, plain = (statistics.median(runs_to_failure(program, scenario, campaign, way) for campaign in CAMPAIGNS)
                         for way in (True, False))
        yield figure, guided, plain, wanted
