#!/usr/bin/env python3
"""Measures the gateway beside nginx as a plain reverse proxy: `make bench`.

Each proxy runs alone on one core; the provider and the load generator (wrk) share another. The figure
is CPU time of the proxy's whole process tree divided by calls, so it depends little on how busy the
machine is; every row comes from the same run, so ratios between rows mean most. Needs wrk, nginx and
two cores. Writes docs/benchmarks.md.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROXY_CORE, LOAD_CORE = "0", "1"
KEY = "bench-key-0123456789"

SMALL = {"model": "gpt-4o", "max_tokens": 256, "messages": [
    {"role": "system", "content": "You are terse."}, {"role": "user", "content": "one two three four " * 45}]}
LARGE = {"model": "gpt-4o", "max_tokens": 256, "messages": [
    {"role": role, "content": "A sentence of some plain words, \\\"quoted\\\" here and there.\n" * 41}
    for role in ("user", "assistant") * 20]}
SCENARIOS = {
    "unary 1 KB": (SMALL, 32),
    "unary 1 KB, 256 connections": (SMALL, 256),
    "stream of 50 events": ({**SMALL, "stream": True}, 32),
    "unary 100 KB": (LARGE, 32),
}


def main():
    args = parse()
    for tool in ("wrk", "nginx", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"bench: {tool} is missing: install it first (Debian: apt-get install wrk nginx-light util-linux)")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench: two cores are needed: one for the proxy, one for the load")
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as folder, Processes() as processes:
        work = pathlib.Path(folder)
        provider = free_port()
        processes.start("provider", LOAD_CORE, [args.upstream, f"127.0.0.1:{provider}"])
        wait_for(provider)
        proxies = {
            "nginx, plain": start_nginx(processes, work, provider),
            "tollgate, bare": start_tollgate(processes, work, args.tollgate, provider, governed=False),
            "tollgate, governed": start_tollgate(processes, work, args.tollgate, provider, governed=True),
        }
        report = measure(args, work, proxies)
        # Half of what saturates the slowest, for all alike: every one of them sleeps and wakes as often.
        rate = round(min(rate for _, rate in report["unary 1 KB"].values()) / 2, -2)
        steady = measure_steady(args, work, proxies, provider, rate)
    text = render(args, report, steady, rate)
    print(text)
    if args.write:
        page = ROOT / "docs" / "benchmarks.md"
        # What people wrote about the figures stays.
        _, heading, rest = page.read_text().partition("\n## ") if page.exists() else ("", "", "")
        page.write_text(text + heading + rest)


def parse():
    target = release_folder()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tollgate", default=target / "tollgate", help="the gateway's binary")
    parser.add_argument("--upstream", default=target / "bench-upstream", help="the provider's binary")
    parser.add_argument("--load", default=target / "bench-load", help="the binary that calls at a fixed rate")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement (default 4)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds over all proxies; the median counts (default 3)")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    return with_binaries(parser.parse_args(), "tollgate", "upstream", "load")


def release_folder():
    """Where cargo puts release builds of this checkout, whatever its configuration and environment say."""
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
    try:
        metadata = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        # Without cargo there can be binaries all the same, and options that name them.
        return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    return pathlib.Path(json.loads(metadata)["target_directory"]) / "release"


def with_binaries(args, *names):
    """The same arguments, if these name programs that can be run."""
    for name in names:
        binary = pathlib.Path(getattr(args, name))
        if not os.access(binary, os.X_OK) or not binary.is_file():
            build = "cargo build --release --package tollgate --package bench-upstream"
            sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {binary} is missing: build it ({build}) or name another (--{name})")
    return args


class Processes:
    """Started here, ended here."""

    def __init__(self):
        self.running = []

    def start(self, name, core, command, **options):
        log = tempfile.TemporaryFile()
        process = subprocess.Popen(["taskset", "-c", core, *map(str, command)], stdout=log, stderr=log, **options)
        self.running.append((name, process, log))
        return process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, process, _ in self.running:
            process.send_signal(signal.SIGTERM)
        for _, process, log in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            log.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"bench: nothing listens on port {port}")


def start_nginx(processes, work, provider):
    port = free_port()
    conf = work / "nginx.conf"
    conf.write_text(f"""
daemon off; worker_processes 1; pid {work}/nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_max_body_size 32m; client_body_buffer_size 256k; client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi; uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    keepalive_requests 1000000000;
    upstream provider {{ server 127.0.0.1:{provider}; keepalive 512; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
    }}
}}
""")
    process = processes.start("nginx", PROXY_CORE, ["nginx", "-p", work, "-c", conf])
    wait_for(port)
    return port, process.pid


# What governs a governed call.
LIMITS = """
    token_limits: [{ name: tpm, counter_key: subscription.id, tokens_per_minute: 100000000000 }]
    quotas: [{ name: month, counter_key: subscription.id, tokens: 100000000000000, period: month }]
    request_limits: [{ name: rpm, counter_key: subscription.id, requests_per_minute: 1000000000 }]
    concurrency_limits: [{ name: open, counter_key: application.name, max_concurrent: 100000 }]
    application: { from_header: X-App-Name }
"""


def start_tollgate(processes, work, binary, provider, governed):
    port = free_port()
    name = "governed" if governed else "bare"
    config = work / f"{name}.yaml"
    config.write_text(configuration(port, work / name, provider, LIMITS if governed else ""))
    process = processes.start(name, PROXY_CORE, [binary, "serve", "--config", config, "--log", "error"])
    wait_for(port)
    return port, process.pid


def configuration(port, data, provider, rules):
    """Of one product, which has these rules."""
    return f"""
listen: 127.0.0.1:{port}
data_dir: {data}
backends: [{{ id: provider, dialect: openai, url: "http://127.0.0.1:{provider}/v1", auth: {{ api_key: provider-key }} }}]
models: [{{ name: gpt-4o, backend: provider }}]
products:
  - id: standard
    models: [gpt-4o]
{rules}
subscriptions: [{{ id: bench, product: standard, keys: {{ primary: {KEY} }} }}]
"""


def measure(args, work, proxies):
    """Microseconds of CPU and calls a second, by scenario and proxy."""
    samples = {scenario: {proxy: [] for proxy in proxies} for scenario in SCENARIOS}
    for round_ in range(args.rounds + 1):
        for scenario, (body, connections) in SCENARIOS.items():
            script = wrk_script(work, scenario, body)
            for proxy, (port, pid) in proxies.items():
                seconds = args.seconds if round_ else 1
                before = cpu_seconds(pid)
                calls, rate = wrk(port, script, connections, seconds)
                used = cpu_seconds(pid) - before
                if round_:  # The first one warms up.
                    samples[scenario][proxy].append((used / calls * 1e6, rate))
                print(f"  {scenario}, {proxy}: {used / calls * 1e6:.1f} us, {rate:.0f}/s", file=sys.stderr)
    return {scenario: {proxy: tuple(map(statistics.median, zip(*figures))) for proxy, figures in by.items()}
            for scenario, by in samples.items()}


def wrk_script(work, scenario, body):
    script = work / (re.sub(r"\W+", "-", scenario) + ".lua")
    text = json.dumps(body, separators=(",", ":"))
    script.write_text(f"""
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {KEY}"
wrk.headers["X-App-Name"] = "bench"
wrk.body = [==[{text}]==]
done = function(summary)
  io.write(string.format("RESULT %d %d %d\\n", summary.requests, summary.duration, summary.errors.status))
end
""")
    return script


def wrk(port, script, connections, seconds):
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
               "--timeout", "10s", "-s", script, f"http://127.0.0.1:{port}"]
    out = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    calls, micros, failed = map(int, re.search(r"RESULT (\d+) (\d+) (\d+)", out).groups())
    if failed or not calls:
        sys.exit(f"bench: {failed} of {calls} calls failed\n{out}")
    return calls, calls / (micros / 1e6)


def cpu_seconds(pid):
    """Of the process and its children, by the scheduler's own nanoseconds."""
    total = 0
    for process in [pid, *children(pid)]:
        for task in pathlib.Path(f"/proc/{process}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                pass
    return total / 1e9


def children(pid):
    found = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found] + [grand for child in found for grand in children(int(child))]


def measure_steady(args, work, proxies, provider, rate):
    """At a fixed rate: microseconds of latency, median and p99, and of CPU a call. Medians of the rounds."""
    body = work / "steady.json"
    body.write_text(json.dumps(SMALL, separators=(",", ":")))
    targets = {"no proxy": (provider, None), **proxies}
    samples = {name: [] for name in targets}
    for _ in range(args.rounds):
        for name, (port, pid) in targets.items():
            before = cpu_seconds(pid) if pid else 0
            calls, failed, p50, p99 = calls_at_rate(args.load, port, rate, args.seconds, body)
            if failed or not calls:
                sys.exit(f"bench: {failed:.0f} of {calls:.0f} calls at {rate:.0f}/s failed")
            # CPU is counted with the half second of warming up, and so are its calls.
            used = (cpu_seconds(pid) - before) / (rate * (args.seconds + 0.5)) if pid else 0
            samples[name].append((p50, p99, used * 1e6))
            print(f"  {rate:.0f}/s, {name}: p50 {p50:.0f}, p99 {p99:.0f}, {used * 1e6:.1f} us", file=sys.stderr)
    return {name: tuple(map(statistics.median, zip(*rounds))) for name, rounds in samples.items()}


def calls_at_rate(load, port, rate, seconds, body):
    """How many were made and failed, and the latency's median and p99 in microseconds."""
    command = ["taskset", "-c", LOAD_CORE, load, f"127.0.0.1:{port}", rate, seconds, 32, body,
               f"authorization: Bearer {KEY}", "x-app-name: bench"]
    out = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    return tuple(map(float, re.search(r"RESULT (.+)", out).group(1).split()[:4]))


def render(args, report, steady, rate):
    machine = f"{os.cpu_count()} cores, {cpu_model()}, {platform.system()} {platform.release()}"
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1]
    version = subprocess.run([args.tollgate, "--version"], capture_output=True, text=True).stdout.strip()
    lines = [
        "# Benchmarks", "",
        "Made by `make bench`; run it yourself. CPU time of the proxy's process tree divided by calls, the proxy",
        "alone on one core, HTTP/1.1 on loopback without TLS, nginx as a plain reverse proxy in the same run.",
        "*Bare*: a key, metering and the ledger, no limits. *Governed*: also a token limit, a quota, a request",
        "limit, a concurrency limit and the application's name.", "",
        f"{datetime.date.today()} · {machine} · {version} · nginx {nginx} · load {os.getloadavg()[0]:.1f} ·"
        f" median of {args.rounds} rounds of {args.seconds:g} s", "",
        "| CPU µs per call (× nginx) | " + " | ".join(next(iter(report.values()))) + " |",
        "|---|" + "--:|" * len(next(iter(report.values()))),
    ]
    for scenario, by in report.items():
        base = by["nginx, plain"][0]
        cells = [f"{cpu:.1f} ({cpu / base:.2f}×)" for cpu, _ in by.values()]
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    lines += ["", "| calls a second | " + " | ".join(next(iter(report.values()))) + " |",
              "|---|" + "--:|" * len(next(iter(report.values())))]
    for scenario, by in report.items():
        lines.append(f"| {scenario} | " + " | ".join(f"{rate:,.0f}" for _, rate in by.values()) + " |")
    base = steady["no proxy"]
    nginx_cpu = steady["nginx, plain"][2]
    lines += ["", f"At {rate:,.0f} calls of 1 KB a second, half of what saturates the slowest, evenly apart on 32 connections:", "",
              "| | p50 µs | p99 µs | added p50 | added p99 | CPU µs per call (× nginx) |", "|---|--:|--:|--:|--:|--:|"]
    for name, (p50, p99, cpu) in steady.items():
        cell = f"{cpu:.1f} ({cpu / nginx_cpu:.2f}×)" if cpu else ""
        lines.append(f"| {name} | {p50:.0f} | {p99:.0f} | {p50 - base[0]:.0f} | {p99 - base[1]:.0f} | {cell} |")
    return "\n".join(lines) + "\n"


def cpu_model():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found.group(1) if found else platform.machine()


if __name__ == "__main__":
    main()
