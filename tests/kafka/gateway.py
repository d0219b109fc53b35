"""The real binary: a simulated provider, a gateway in front of it, and clients that call."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time

BINARY = os.environ["TOLLGATE_BINARY"]
KEYS = {f"team-{number}": f"kafka-tests-key-{number:04}" for number in range(5)}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until(what, holds, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


class Gateway:
    def __init__(self, folder, sinks):
        self.folder, self.port, self.admin = folder, free_port(), free_port()
        self.data = folder / "data"
        self.log = open(folder / "gateway.log", "ab")
        provider = free_port()
        self.provider = subprocess.Popen(
            [BINARY, "simulate", "--listen", f"127.0.0.1:{provider}"], stdout=self.log, stderr=self.log
        )
        self.config = folder / "tollgate.yaml"
        # JSON is YAML.
        self.config.write_text(
            json.dumps(
                {
                    "listen": f"127.0.0.1:{self.port}",
                    "admin": {"listen": f"127.0.0.1:{self.admin}"},
                    "data_dir": str(self.data),
                    "backends": [
                        {
                            "id": "simulated",
                            "dialect": "openai",
                            "url": f"http://127.0.0.1:{provider}/v1",
                            "auth": {"api_key": "simulated"},
                        }
                    ],
                    "models": [{"name": "gpt-4o", "backend": "simulated", "max_output_tokens": 100}],
                    "products": [{"id": "standard", "models": ["gpt-4o"]}],
                    "subscriptions": [
                        {"id": team, "product": "standard", "keys": {"primary": key}} for team, key in KEYS.items()
                    ],
                    "sinks": sinks,
                }
            )
        )
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--config", self.config, "--log-format", "text"], stdout=self.log, stderr=self.log
        )
        until("the gateway is ready", lambda: self.get("/readyz"))

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0

    def close(self):
        for process in [self.process, self.provider]:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.log.close()

    def get(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            return None

    def metric(self, series):
        for line in (self.get("/metrics") or "").splitlines():
            if line.startswith(series):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"{series} is not there")

    def caught_up(self, calls):
        """These calls are on the ledger, and all on the ledger is acknowledged."""

        def holds():
            if not set(calls) <= self.recorded():
                return False
            rows = json.loads(self.command("sinks", "list", "--format", "json").stdout)
            return [row["waiting"] for row in rows if row["sink"] == "usage"] == [0]

        until("the sink has everything", holds)

    def command(self, *arguments):
        command = [BINARY, *arguments[:2], "--config", str(self.config), *arguments[2:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def recorded(self):
        """Ids of all calls on the ledger."""
        database = sqlite3.connect(f"file:{self.data}/ledger.sqlite?mode=ro", uri=True, timeout=10)
        try:
            return {row[0].hex() for row in database.execute("SELECT id FROM calls")}
        finally:
            database.close()

    def call(self, team="team-0", connection=None):
        """The call's id, once its answer is whole."""
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "answer 5 words"}]})
        headers = {"authorization": f"Bearer {KEYS[team]}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        return answer.headers["x-request-id"]


class Load:
    """Clients that call until told to stop, and remember which calls they saw the end of."""

    # The mock cluster keeps 5 MB of a partition: some hundred calls a second would outrun that.
    PAUSE_S = 0.04

    def __init__(self, gateway, clients=4):
        self.gateway, self.finished, self.is_over = gateway, [], False
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        team = f"team-{number % len(KEYS)}"
        connection = None
        while not self.is_over:
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=30)
                self.finished.append(self.gateway.call(team, connection))
                time.sleep(self.PAUSE_S)
            except (OSError, http.client.HTTPException):
                connection = None
                time.sleep(0.02)

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        return self.finished
