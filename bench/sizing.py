#!/usr/bin/env python3
"""Measures what a large configuration costs beside a small one: `make sizing`.

The same gateway with 10 subscriptions, 10 models and 1 backend, and with 10,000, 1,000 and 100: start to
first served call, resident memory, processor time of a reload, the size of `/metrics`, and for each call
CPU time and instructions (valgrind counts those, so they do not depend on the machine's mood). Calls
come from all subscriptions for all models. Needs wrk; the instructions need valgrind and are left out
without it. Writes docs/sizing.md.
"""

import argparse
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from run import ROOT, Processes, cpu_model, cpu_seconds, free_port, release_folder, wait_for, with_binaries  # noqa: E402

PROXY_CORE, LOAD_CORE = "0", "1"
SIZES = {"small": (10, 10, 1), "large": (10_000, 1_000, 100)}
CALLS_COUNTED = 2_000
SERVING = "instructions of a call on the threads that serve it"
RECORDING = "instructions of a call on the ledger's threads"
# A few comparisons more, longer names, and a table that does not fit into a few cache lines.
GROWTH_MAX = 1.10
START = "start to first served call, ms"
START_MS_MAX = 300
IDLE = "resident memory idle, MB"
IDLE_MB_MAX = 40


def main():
    args = parse()
    if not shutil.which("wrk"):
        sys.exit("sizing: wrk is missing: install it first (Debian: apt-get install wrk)")
    figures = {}
    with tempfile.TemporaryDirectory(prefix="tollgate-sizing-") as folder, Processes() as processes:
        provider = free_port()
        processes.start("provider", LOAD_CORE, [args.upstream, f"127.0.0.1:{provider}"])
        wait_for(provider)
        for name, size in SIZES.items():
            work = pathlib.Path(folder) / name
            work.mkdir()
            print(f"{name}: {size[0]:,} subscriptions, {size[1]:,} models, {size[2]} backends", file=sys.stderr)
            figures[name] = measure(args, work, size, provider)
    text = render(args, figures)
    print(text)
    if args.write:
        (ROOT / "docs" / "sizing.md").write_text(text)
    sys.exit(judge(figures))


def parse():
    target = release_folder()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tollgate", default=target / "tollgate", help="the gateway's binary")
    parser.add_argument("--upstream", default=target / "bench-upstream", help="the provider's binary")
    parser.add_argument("--seconds", type=float, default=8, help="of load on each size (default 8)")
    parser.add_argument("--starts", type=int, default=5, help="starts of each size; the median counts (default 5)")
    parser.add_argument("--write", action="store_true", help="write docs/sizing.md")
    return with_binaries(parser.parse_args(), "tollgate", "upstream")


def key_of(number):
    return f"sizing-key-of-subscription-{number:05}"


def configuration(work, size, provider, port, admin, revision=0):
    """Every kind of limit on every product, and one of its own on every subscription."""
    subscriptions, models, backends = size
    pools = max(1, backends // 5)
    lines = [
        f"listen: 127.0.0.1:{port}", f"admin: {{ listen: 127.0.0.1:{admin} }}", f"data_dir: {work}/data",
        "limits: { queue_delay: 1h }",
        "metrics: { dimensions: { Team: subscription.id, Model: model.name } }", "backends:",
    ]
    lines += [f"  - {{ id: backend-{n}, dialect: openai, url: \"http://127.0.0.1:{provider}/v1\", auth: {{ api_key: provider-key }} }}"
              for n in range(backends)]
    lines += ["pools:"]
    for pool in range(pools):
        members = ", ".join(f"{{ backend: backend-{n} }}" for n in range(backends) if n % pools == pool)
        lines += [f"  - {{ id: pool-{pool}, members: [{members}] }}"]
    lines += ["models:"]
    lines += [f"  - {{ name: model-{n}, pool: pool-{n % pools}, max_output_tokens: 4096 }}" for n in range(models)]
    lines += ["products:"]
    for product in range(min(10, subscriptions)):
        lines += [
            f"  - id: product-{product}",
            f"    models: [{', '.join(f'model-{n}' for n in range(models))}]",
            "    token_limits: [{ name: tpm, tokens_per_minute: 100000000 }]",
            f"    quotas: [{{ name: month, tokens: {10**14 + revision}, period: month }}]",
            "    request_limits: [{ name: rpm, requests_per_minute: 10000000 }]",
            "    concurrency_limits: [{ name: open, max_concurrent: 100000 }]",
        ]
    lines += ["subscriptions:"]
    for n in range(subscriptions):
        keys = ", ".join(f'{slot}: "sha256:{hashlib.sha256(key.encode()).hexdigest()}"'
                         for slot, key in (("primary", key_of(n)), ("secondary", key_of(n) + "-second")))
        lines += [f"  - {{ id: team-{n}, name: Team {n}, product: product-{n % min(10, subscriptions)}, keys: {{ {keys} }}, "
                  "quotas: [{ name: own, tokens: 1000000000000, period: month }] }"]
    file = work / "tollgate.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def measure(args, work, size, provider):
    port, admin = free_port(), free_port()
    file = configuration(work, size, provider, port, admin)
    found = {"configuration KB": file.stat().st_size / 1e3}
    with Gateway(args, work, file, port) as gateway:
        gateway.until_served()
    starts = []
    for _ in range(args.starts):
        with Gateway(args, work, file, port) as gateway:
            starts.append((gateway.until_served(), cpu_seconds(gateway.pid)))
    found[START], found["processor time of a start, ms"] = (
        statistics.median(column) * 1e3 for column in zip(*starts))
    with Gateway(args, work, file, port) as gateway:
        gateway.until_served()
        time.sleep(1)
        found[IDLE] = gateway.resident_mb()
        found["processor time idle, ms a second"] = gateway.idle_ms_per_s()
        script = wrk_script(work, size)
        wrk(port, script, 2)
        before = cpu_seconds(gateway.pid)
        calls = wrk(port, script, args.seconds)
        found["processor time of a call, µs"] = (cpu_seconds(gateway.pid) - before) / calls * 1e6
        found["resident memory after the load, MB"] = gateway.resident_mb()
        time.sleep(1.5)
        found["reload, ms"], found["processor time of a reload, ms"] = reload_ms(gateway, work, size, provider, port, admin)
        found["resident memory after ten reloads, MB"] = gateway.resident_mb()
        before, began = cpu_seconds(gateway.pid), time.monotonic()
        text = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics").read()
        found["`/metrics`, MB"] = len(text) / 1e6
        found["`/metrics`, ms"] = (time.monotonic() - began) * 1e3
        found["resident memory after `/metrics`, MB"] = gateway.resident_mb()
    if shutil.which("valgrind"):
        found[SERVING], found[RECORDING] = instructions_per_call(args, work, size, file, port)
    for what, figure in found.items():
        print(f"  {what}: {figure:.1f}", file=sys.stderr)
    return found


class Gateway:
    def __init__(self, args, work, file, port, under=()):
        self.port, self.log = port, open(work / "log", "w+b")
        self.began = time.monotonic()
        command = ["taskset", "-c", PROXY_CORE, *under, args.tollgate, "serve", "--config", file]
        self.process = subprocess.Popen(list(map(str, command)), stdout=self.log, stderr=self.log, cwd=work)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def until_served(self):
        """Seconds from the start of the process to the end of the first answer."""
        while self.process.poll() is None:
            try:
                if call(self.port, 0, 0) == 200:
                    return time.monotonic() - self.began
            except OSError:
                time.sleep(0.002)
        self.log.seek(0)
        sys.exit(f"sizing: the gateway ended\n{self.log.read().decode()[-3000:]}")

    def resident_mb(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024 / 1e6

    def idle_ms_per_s(self):
        before = cpu_seconds(self.pid)
        time.sleep(3)
        return (cpu_seconds(self.pid) - before) / 3 * 1e3

    def said(self, text):
        self.log.seek(0)
        said = self.log.read().count(text)
        self.log.seek(0, os.SEEK_END)
        return said


def call(port, subscription, model):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = json.dumps({"model": f"model-{model}", "max_tokens": 256, "messages": [{"role": "user", "content": "hello"}]})
    connection.request("POST", "/v1/chat/completions", body, {"api-key": key_of(subscription), "content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def wrk_script(work, size):
    """Subscriptions and models at random, so that nothing stays in a cache for being asked again."""
    subscriptions, models, _ = size
    script = work / "load.lua"
    text = "one two three four " * 45
    script.write_text(f"""
local text = [==[{text}]==]
request = function()
  local headers = {{ ["content-type"] = "application/json",
    ["api-key"] = string.format("sizing-key-of-subscription-%05d", math.random(0, {subscriptions - 1})) }}
  local body = string.format('{{"model":"model-%d","max_tokens":256,"messages":[{{"role":"user","content":"%s"}}]}}',
    math.random(0, {models - 1}), text)
  return wrk.format("POST", "/v1/chat/completions", headers, body)
end
done = function(summary)
  io.write(string.format("RESULT %d %d\\n", summary.requests, summary.errors.status))
end
""")
    return script


def wrk(port, script, seconds):
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", "-c32", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", script,
               f"http://127.0.0.1:{port}"]
    out = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
    calls, failed = map(int, re.search(r"RESULT (\d+) (\d+)", out).groups())
    if failed or not calls:
        sys.exit(f"sizing: {failed} of {calls} calls failed\n{out}")
    return calls


def reload_ms(gateway, work, size, provider, port, admin):
    """Median of ten: until the new configuration is in force, and its processor time."""
    taken = []
    for revision in range(1, 11):
        configuration(work, size, provider, port, admin, revision)
        before, known, began = cpu_seconds(gateway.pid), gateway.said(b"configuration in force"), time.monotonic()
        os.kill(gateway.pid, signal.SIGHUP)
        while gateway.said(b"configuration in force") == known:
            if time.monotonic() > began + 60:
                sys.exit("sizing: a reload did not come into force in a minute")
            time.sleep(0.002)
        taken.append((time.monotonic() - began, cpu_seconds(gateway.pid) - before))
        time.sleep(0.6)
    return tuple(statistics.median(column) * 1e3 for column in zip(*taken))


def instructions_per_call(args, work, size, file, port):
    """Of the user's side, by callgrind, for the second of two equal loads; the ledger's threads are those in SQLite."""
    under = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={work}/callgrind", "--quiet"]
    subscriptions, models, _ = size
    with Gateway(args, work, file, port, under) as gateway:
        gateway.until_served()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = "one two three four " * 45

        def load():
            for n in range(CALLS_COUNTED):
                subscription, model = n * 7919 % subscriptions, n * 104729 % models
                text = json.dumps({"model": f"model-{model}", "max_tokens": 256, "messages": [{"role": "user", "content": body}]})
                connection.request("POST", "/v1/chat/completions", text,
                                   {"api-key": key_of(subscription), "content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    sys.exit(f"sizing: {answer.status}")

        load()
        # What a call is the first to touch is made then; the second round counts.
        subprocess.run(["callgrind_control", "--zero", str(gateway.pid)], check=True, capture_output=True)
        load()
        subprocess.run(["callgrind_control", "--dump", str(gateway.pid)], check=True, capture_output=True)
        serving = recording = 0
        for dump in work.glob("callgrind.*"):
            text = dump.read_text()
            total = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
            if total and "sqlite3VdbeExec" in text:
                recording += int(total.group(1))
            elif total:
                serving += int(total.group(1))
        return serving / CALLS_COUNTED, recording / CALLS_COUNTED


def judge(figures):
    """A call costs what it costs in a small configuration, and a look-up; a small one starts at once and is small."""
    small, large = figures["small"], figures["large"]
    failed = []
    if SERVING in large and large[SERVING] > small[SERVING] * GROWTH_MAX:
        failed.append(f"a call takes {large[SERVING] / small[SERVING]:.2f} times the instructions")
    for what, most in ((START, START_MS_MAX), (IDLE, IDLE_MB_MAX)):
        if small[what] > most:
            failed.append(f"{what}: {small[what]:.1f} with the small configuration, at most {most}")
    for text in failed:
        print(f"FAILED: {text}", file=sys.stderr)
    return 1 if failed else 0


def render(args, figures):
    version = subprocess.run([args.tollgate, "--version"], capture_output=True, text=True).stdout.strip()
    machine = f"{os.cpu_count()} cores, {cpu_model()}, {platform.system()} {platform.release()}"
    lines = [
        "# Sizing", "",
        "Made by `make sizing`; run it yourself. The same gateway, governed, with a small and a large configuration:",
        "every product has a token limit, a quota, a request limit and a concurrency limit and grants every model,",
        "every subscription has two keys and a quota of its own, token metrics are split by team and model. Calls come",
        "from all subscriptions for all models at random; the gateway has one core to itself. Memory grows by some 75 MB,",
        "32 of them pages of the binary, when a call first needs the tokenizer's tables: here when the load generator ends",
        "and its last calls hang up, which may be before or after the line of the load. Reloads add nothing.", "",
        f"{datetime.date.today()} · {machine} · {version} · load {os.getloadavg()[0]:.1f}", "",
        "| | " + " | ".join(f"{s:,} subscriptions, {m:,} models, {b} backend{'s' if b > 1 else ''}" for s, m, b in SIZES.values()) + " |",
        "|---|" + "--:|" * len(SIZES),
    ]
    for what in figures["large"]:
        lines.append(f"| {what} | " + " | ".join(number(by[what]) for by in figures.values()) + " |")
    return "\n".join(lines) + "\n"


def number(figure):
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"


if __name__ == "__main__":
    main()
