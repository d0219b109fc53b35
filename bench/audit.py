#!/usr/bin/env python3
"""Measures what audit records add to a governed call: `make bench-audit`.

CPU time of the gateway divided by calls, everything behind a call included: threads that seal, chain and
write, until they have caught up. At fixed rates, and at what saturates it, calls of 1 KB and streams of 50
events: saturated, it does less for each call besides, as much waits at every wake-up. Each figure is of
processes started anew, in a random order, because one process is faster than the next of the same binary by
up to a tenth for as long as it lives. Needs wrk and two cores.
"""

import argparse
import datetime
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import run

LEVELS = ("none", "metadata", "full")
SATURATING = {"as many calls as it takes": run.SMALL, "as many streams as it takes": {**run.SMALL, "stream": True}}
PARTS = {"tokio-rt-worker": "calls", "ledger-writer": "ledger", "audit-gatherer": "gathering", "audit-writer": "chaining"}
# Records wait 10 ms, the chain's writer 200.
BEHIND_SECONDS = 1.5


def main():
    args = parse()
    for tool in ("wrk", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"bench: {tool} is missing: install it first (Debian: apt-get install wrk util-linux)")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench: two cores are needed: one for the gateway, one for the load")
    names = {"tollgate": args.tollgate, **({"other": args.other} if args.other else {})}
    variants = [(name, level) for name in names for level in args.levels]
    samples = {}
    dice = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder:
        work = pathlib.Path(folder)
        body = work / "body.json"
        body.write_text(json.dumps(run.SMALL, separators=(",", ":")))
        scripts = {title: run.wrk_script(work, title, body) for title, body in SATURATING.items()}
        for round_ in range(args.rounds):
            for name, level in dice.sample(variants, len(variants)):
                with run.Processes() as processes:
                    provider = run.free_port()
                    processes.start("provider", run.LOAD_CORE, [args.upstream, f"127.0.0.1:{provider}"])
                    run.wait_for(provider)
                    data = work / "data"
                    gateway = start(processes, work, data, names[name], provider, level)
                    for script in scripts.values():
                        run.wrk(gateway[0], script, 32, 1)
                    time.sleep(BEHIND_SECONDS)
                    spents = {f"{rate:,.0f} calls a second": spent(gateway, lambda port: at_rate(args, rate, port, body))
                              for rate in args.rates}
                    spents |= {title: spent(gateway, lambda port: run.wrk(port, script, 32, args.seconds)[0])
                               for title, script in scripts.items()}
                for load, used in spents.items():
                    by = samples.setdefault(load, {variant: [] for variant in variants})
                    by[name, level].append(used)
                shutil.rmtree(data)
                told = ", ".join(f"{load}: {sum(used.values()):.1f} us" for load, used in spents.items())
                print(f"  {round_ + 1}: {name}, {level}: {told}", file=sys.stderr, flush=True)
    print(render(args, samples))


def parse():
    target = run.release_folder()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tollgate", default=target / "tollgate", help="the gateway's binary")
    parser.add_argument("--other", help="another binary of it, measured in turns with the first")
    parser.add_argument("--upstream", default=target / "bench-upstream", help="the provider's binary")
    parser.add_argument("--load", default=target / "bench-load", help="the binary that calls at a fixed rate")
    parser.add_argument("--rates", type=float, nargs="*", default=(2000, 8000, 16000),
                        help="calls a second of the steady parts (default 2000 8000 16000)")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement (default 4)")
    parser.add_argument("--rounds", type=int, default=15, help="processes of each kind (default 15)")
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS, help="of records (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    return run.with_binaries(parser.parse_args(), "tollgate", "upstream", "load")


def start(processes, work, data, binary, provider, level):
    port = run.free_port()
    config = work / "tollgate.yaml"
    audit = "" if level == "none" else f"    audit: {{ content: {level} }}\n"
    config.write_text(run.configuration(port, data, provider, run.LIMITS + audit))
    process = processes.start("tollgate", run.PROXY_CORE, [binary, "serve", "--config", config, "--log", "error"])
    run.wait_for(port)
    return port, process.pid


def at_rate(args, rate, port, body):
    calls, failed, *_ = run.calls_at_rate(args.load, port, rate, args.seconds, body)
    if failed or not calls:
        sys.exit(f"bench: {failed:.0f} of {calls:.0f} calls at {rate:.0f}/s failed")
    # With the half second of warming up.
    return rate * (args.seconds + 0.5)


def spent(gateway, load):
    """Microseconds a call, by thread, once all that the calls left behind is done."""
    port, pid = gateway
    before = by_thread(pid)
    calls = load(port)
    time.sleep(BEHIND_SECONDS)
    return {name: (used - before.get(name, 0)) / calls for name, used in by_thread(pid).items()}


def by_thread(pid):
    used = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name = PARTS.get((task / "comm").read_text().strip(), "other")
            used[name] = used.get(name, 0) + int((task / "schedstat").read_text().split()[0]) / 1e3
        except (FileNotFoundError, ProcessLookupError):
            pass
    return used


def render(args, samples):
    version = subprocess.run([args.tollgate, "--version"], capture_output=True, text=True).stdout.strip()
    parts = [*PARTS.values(), "other"]
    lines = [f"{datetime.date.today()} · {run.cpu_model()} · {version} · load {os.getloadavg()[0]:.1f} · median of"
             f" {args.rounds} processes, {args.seconds:g} s each, µs of CPU a call"]
    for load, by in samples.items():
        lines += ["", f"| {load} | {' | '.join(parts)} | all | of the middle half | more than none |",
                  "|---|" + "--:|" * (len(parts) + 3)]
        bases = {}
        for (name, level), rounds in by.items():
            sums = [sum(one.values()) for one in rounds]
            middle = statistics.median(sums)
            bases.setdefault(name, middle)
            low, _, high = statistics.quantiles(sums, n=4) if len(sums) > 1 else (middle,) * 3
            cells = [f"{statistics.median(one.get(part, 0) for one in rounds):.1f}" for part in parts]
            label = level if len({name for name, _ in by}) == 1 else f"{name}, {level}"
            lines.append(f"| {label} | {' | '.join(cells)} | {middle:.1f} | {low:.1f} to {high:.1f}"
                         f" | {(middle / bases[name] - 1) * 100:+.0f}% |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
