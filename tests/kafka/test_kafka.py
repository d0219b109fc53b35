"""Usage events in Kafka: what arrives, after everything that may happen on the way."""

import http.server
import json
import ssl
import threading
import time
from collections import Counter

import pytest
import trustme

from broker import Cluster
from front import Front
from gateway import Gateway, KEYS, Load, until

TOPIC = "ai-usage"


@pytest.fixture
def cluster():
    cluster = Cluster()
    cluster.topic(TOPIC)
    yield cluster
    cluster.close()


@pytest.fixture
def started(tmp_path):
    """Makes gateways, and ends them."""
    running = []

    def start(kafka, **more):
        sink = {"id": "usage", "kafka": {"topic": TOPIC, **kafka}, "batch": {"linger": "50ms", "records": 50}, **more}
        running.append(Gateway(tmp_path, [sink]))
        return running[-1]

    yield start
    for gateway in running:
        gateway.close()


def ids(messages):
    return [json.loads(message.value())["id"] for message in messages]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_every_call_arrives_once_with_its_team_as_key(cluster, started, compression):
    gateway = started({"brokers": cluster.brokers, "compression": compression})
    called = {gateway.call(f"team-{number % 5}"): f"team-{number % 5}" for number in range(60)}
    gateway.caught_up(called)
    messages = cluster.read(TOPIC)
    assert sorted(ids(messages)) == sorted(called)
    partitions = {}
    for message in messages:
        event = json.loads(message.value())
        assert message.key().decode() == event["subscription"] == called[event["id"]]
        assert message.headers() == [("content-type", b"application/json")]
        assert event["schema"] == "tollgate.usage/1"
        assert event["usage"]["total_tokens"] > 0
        partitions.setdefault(message.key(), set()).add(message.partition())
    assert all(len(where) == 1 for where in partitions.values()), "one team, one partition"
    gateway.stop()


def test_brokers_die_under_load_then_the_gateway_is_killed_and_nothing_is_lost(cluster, started, outage):
    gateway = started({"brokers": cluster.brokers, "timeout": "2s"})
    load = Load(gateway)
    until("some are acknowledged", lambda: gateway.metric('tollgate_sink_events_total{sink="usage",result="delivered"}') > 100)

    cluster.down()
    died_at = len(load.finished)
    until("the sink's trouble is seen", lambda: "warning: sink usage:" in gateway.get("/readyz"))
    time.sleep(outage)
    while_down = len(load.finished) - died_at
    assert while_down > 200, f"calls go on without brokers: {while_down}"
    waiting = gateway.metric('tollgate_sink_lag_records{sink="usage"}')
    assert waiting > 100, waiting

    gateway.kill9()
    cluster.up()
    gateway.start()
    back_at = time.monotonic()
    until("calls go on", lambda n=len(load.finished): len(load.finished) > n + 100)
    until("what waited is delivered", lambda: gateway.metric('tollgate_sink_lag_records{sink="usage"}') < 50)
    caught_up_s = time.monotonic() - back_at
    # Once more, with batches that brokers have and whose acknowledgement is on its way.
    cluster.slow(1500)
    until("calls go on", lambda n=len(load.finished): len(load.finished) > n + 100)
    time.sleep(1)
    gateway.kill9()
    cluster.slow(0)
    gateway.start()
    until("calls go on", lambda n=len(load.finished): len(load.finished) > n + 100)
    finished = load.stop()
    gateway.caught_up(finished)
    gateway.stop()

    messages = cluster.read(TOPIC)
    times = Counter(ids(messages))
    recorded = gateway.recorded()
    assert set(finished) <= recorded
    assert set(times) == recorded, "every call on the ledger is there, interrupted ones too, and no other"
    twice = sum(times.values()) - len(times)
    print(
        f"brokers down for {outage:g} s: {len(finished)} calls finished, {while_down} of them meanwhile, "
        f"{waiting:.0f} waited; delivered {caught_up_s:.1f} s after the kill and the brokers' return; "
        f"{len(recorded)} on the ledger, all of them arrived, {twice} events came twice"
    )
    assert twice > 0, "the second kill came before an acknowledgement"
    by_id = {}
    for message in messages:
        assert by_id.setdefault(json.loads(message.value())["id"], message.value()) == message.value()


def test_a_restart_sends_nothing_twice(cluster, started):
    gateway = started({"brokers": cluster.brokers})
    first = [gateway.call() for _ in range(20)]
    gateway.stop()
    assert sorted(ids(cluster.read(TOPIC))) == sorted(first), "a stop delivers what was recorded last"
    gateway.start()
    second = [gateway.call() for _ in range(20)]
    gateway.stop()
    assert sorted(ids(cluster.read(TOPIC))) == sorted(first + second)


def test_a_replay_sends_a_period_again_to_a_running_gateway(cluster, started):
    gateway = started({"brokers": cluster.brokers})
    called = [gateway.call() for _ in range(10)]
    gateway.caught_up(called)
    replayed = gateway.command("sinks", "replay", "usage", "--since", "1h")
    assert replayed.stdout.startswith("usage: 10 calls are sent again"), replayed
    until("they are", lambda: len(cluster.read(TOPIC)) == 20)
    assert Counter(ids(cluster.read(TOPIC))) == {one: 2 for one in called}


# Not the leader, timed out, too few replicas, corrupt, unknown topic: what brokers say and unsay.
@pytest.mark.parametrize("codes", [[6, 6], [7, 7, 7, 7], [19], [20, 2], [3, 3, 3]])
def test_what_a_broker_takes_back_is_sent_again(cluster, started, codes):
    gateway = started({"brokers": cluster.brokers})
    cluster.answer_produce_with(*codes)
    called = [gateway.call(team) for team in KEYS for _ in range(4)]
    gateway.caught_up(called)
    assert sorted(set(ids(cluster.read(TOPIC)))) == sorted(called)


def test_a_batch_that_is_too_large_is_sent_in_smaller_ones(cluster, started):
    gateway = started({"brokers": cluster.brokers})
    cluster.answer_produce_with(10, 10)
    called = [gateway.call() for _ in range(30)]
    gateway.caught_up(called)
    assert sorted(ids(cluster.read(TOPIC))) == sorted(called)


def test_leaders_that_move_are_found(cluster, started):
    gateway = started({"brokers": cluster.brokers})
    called = []
    for broker in [1, 2, 3]:
        for partition in range(4):
            cluster.lead(TOPIC, partition, broker)
        called += [gateway.call(team) for team in KEYS]
        gateway.caught_up(called)
    assert sorted(ids(cluster.read(TOPIC))) == sorted(called)


@pytest.fixture
def authority(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def fronted(authority, tmp_path):
    """Makes a TLS listener with a login before a broker."""
    cluster = Cluster(brokers=1)
    cluster.topic(TOPIC)
    fronts = []

    def front(**how):
        fronts.append(Front(cluster.brokers[0], tls=server_tls(authority), **how))
        return fronts[-1]

    yield cluster, front, str(tmp_path / "ca.pem")
    for one in fronts:
        one.close()
    cluster.close()


@pytest.mark.parametrize("mechanism, field", [("PLAIN", "plain"), ("SCRAM-SHA-256", "scram_sha_256"), ("SCRAM-SHA-512", "scram_sha_512")])
def test_logins_by_password_over_tls(fronted, started, mechanism, field):
    cluster, front, ca = fronted
    front = front(mechanism=mechanism, users={"tollgate": "pass,word="})
    login = {field: {"username": "tollgate", "password": "pass,word="}}
    gateway = started({"brokers": [front.address], "tls": {"ca": ca}, "sasl": login})
    called = [gateway.call() for _ in range(10)]
    gateway.caught_up(called)
    assert sorted(ids(cluster.read(TOPIC))) == sorted(called)
    assert (front.logins, front.refusals) == (1, 0)

    gateway.config.write_text(gateway.config.read_text().replace("pass,word=", "wrong-password"))
    tested = gateway.command("sinks", "test")
    assert tested.returncode == 1
    assert "refused the login" in tested.stdout and "wrong-password" not in tested.stdout, tested
    assert front.refusals == 1


def test_a_certificate_that_nobody_trusts_is_refused(fronted, started):
    _, front, ca = fronted
    front = front()
    gateway = started({"brokers": [front.address], "tls": True})
    tested = gateway.command("sinks", "test")
    assert tested.returncode == 1
    assert "invalid peer certificate" in tested.stdout, tested
    gateway.config.write_text(gateway.config.read_text().replace('"tls": true', f'"tls": {{"ca": "{ca}"}}'))
    tested = gateway.command("sinks", "test")
    assert (tested.returncode, tested.stdout) == (0, "usage (kafka): took a test event\n"), tested


class Issuer(http.server.ThreadingHTTPServer):
    """Hands out tokens, of which only the latest is good."""

    daemon_threads = True

    def __init__(self):
        self.given = 0
        super().__init__(("127.0.0.1", 0), Asked)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/token"

    def good(self):
        return {f"token-{self.given}"}


class Asked(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.given += 1
        token = {"access_token": f"token-{self.server.given}", "token_type": "Bearer", "expires_in": 3600}
        body = json.dumps(token).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_logins_by_token_and_a_new_token_when_the_broker_ends_the_old_one(fronted, started):
    cluster, front, ca = fronted
    issuer = Issuer()
    front = front(mechanism="OAUTHBEARER", tokens=issuer.good)
    client = {"token_url": issuer.url, "client_id": "gateway", "client_secret": "client-secret-0001"}
    oauth = {"oauth": {"client_credentials": client}}
    gateway = started({"brokers": [front.address], "tls": {"ca": ca}, "sasl": oauth})
    called = [gateway.call() for _ in range(10)]
    gateway.caught_up(called)
    # The token is withdrawn, and the broker ends all connections, as Event Hubs does.
    issuer.given += 1
    cluster.down()
    cluster.up()
    called += [gateway.call() for _ in range(10)]
    gateway.caught_up(called)
    assert sorted(set(ids(cluster.read(TOPIC)))) == sorted(called)
    assert front.logins >= 2 and front.refusals >= 1
    issuer.shutdown()
    issuer.server_close()


def test_a_port_that_is_no_kafka_is_told_in_words(started, tmp_path):
    issuer = Issuer()
    address = issuer.url.removeprefix("http://").removesuffix("/token")
    gateway = started({"brokers": [address], "timeout": "2s"})
    tested = gateway.command("sinks", "test")
    assert tested.returncode == 1, tested
    assert f"`{address}`" in tested.stdout, tested
    nowhere = gateway.config.read_text().replace(address, "127.0.0.1:1")
    gateway.config.write_text(nowhere)
    tested = gateway.command("sinks", "test")
    assert "`127.0.0.1:1` cannot be reached" in tested.stdout, tested
    issuer.shutdown()
    issuer.server_close()
