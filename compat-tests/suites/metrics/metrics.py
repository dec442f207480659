"""What /metrics, /health and /ready tell, held against what kcat produced and consumed."""

import os
import pathlib
import re
import subprocess
import urllib.error
import urllib.request

import broker as brokers
import checks
from checks import check, equal

BOOTSTRAP = os.environ["BOOTSTRAP"]
HOME = pathlib.Path(os.environ["BROKER_HOME"])
TOPIC = "met.rics_a-1"
LINES = [f"line {number} of the metrics suite" for number in range(1, 501)]
SAMPLE = re.compile(r'^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="([^"\\]|\\.)*",?)+\})? -?[0-9.e+-]+$')


def address():
    """Where the newest start of the broker listens, as its log tells."""
    found = re.findall(r"listening for /metrics.*?address=.*?([0-9.]+:[0-9]+)", (HOME / "broker.log").read_text())
    return found[-1]


def get(path):
    """The body of an answer."""
    with urllib.request.urlopen(f"http://{address()}{path}", timeout=10) as answer:
        return answer.read().decode()


def scrape():
    """The samples, as {name with labels: value}."""
    lines = [line for line in get("/metrics").splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def kcat(*arguments, lines=()):
    """Run kcat and return what it printed."""
    command = ["kcat", "-b", BOOTSTRAP, "-X", "broker.address.family=v4", *arguments]
    text = "".join(f"{line}\n" for line in lines)
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30).stdout


def log_size():
    """Bytes of the topic's segments on disk."""
    return sum(path.stat().st_size for path in (HOME / "data").glob(f"{TOPIC}-*/*.log"))


def total(samples, name, topic=TOPIC):
    """A counter of a topic."""
    return samples[f'kafka_server_brokertopicmetrics_{name}_total{{topic="{topic}"}}']


@check("health.alive")
def _():
    equal(get("/health"), "ok\n", "/health")


@check("health.ready")
def _():
    equal(get("/ready"), "ok\n", "/ready")


@check("metrics.format")
def _():
    wrong = [line for line in get("/metrics").splitlines() if not line.startswith("# ") and not SAMPLE.match(line)]
    equal(wrong, [], "what Prometheus could not read")


@check("metrics.messages-in")
def _():
    for partition in ["0", "1"]:
        kcat("-P", "-t", TOPIC, "-p", partition, lines=LINES)
    samples = scrape()
    equal(total(samples, "messagesin"), 1000, "messages in")
    equal(samples["kafka_server_brokertopicmetrics_messagesin_total"], 1000, "messages in of all topics")


@check("metrics.bytes-in")
def _():
    assert log_size() > 0, "nothing on disk"
    equal(total(scrape(), "bytesin"), log_size(), "bytes in")


@check("metrics.bytes-out")
def _():
    for partition in ["0", "1"]:
        printed = kcat("-C", "-t", TOPIC, "-p", partition, "-o", "beginning", "-e", "-q")
        assert printed.splitlines() == LINES, f"partition {partition} reads differently: {printed[:200]!r}"
    equal(total(scrape(), "bytesout"), log_size(), "bytes out")


@check("metrics.log")
def _():
    samples = scrape()
    labels = [f'{{topic="{TOPIC}",partition="{partition}"}}' for partition in [0, 1]]
    equal([samples[f"kafka_log_log_logendoffset{label}"] for label in labels], [500, 500], "end offsets")
    equal([samples[f"kafka_log_log_logstartoffset{label}"] for label in labels], [0, 0], "start offsets")
    equal(sum(samples[f"kafka_log_log_size{label}"] for label in labels), log_size(), "log sizes")
    equal(samples["kafka_server_replicamanager_leadercount"], 2, "partitions led")


@check("metrics.requests")
def _():
    samples = scrape()
    for request in ["ApiVersions", "Metadata", "Produce", "Fetch"]:
        prefix = f'kafka_network_requestmetrics_requests_total{{request="{request}",'
        count = sum(value for name, value in samples.items() if name.startswith(prefix))
        assert count > 0, f"no {request} was counted"
        timed = samples[f'kafka_network_requestmetrics_total_time_seconds_count{{request="{request}"}}']
        equal(timed, count, f"{request} requests with a latency")


@check("metrics.errors")
def _():
    kcat("-C", "-t", TOPIC, "-p", "0", "-o", "100000", "-e", "-q", "-X", "auto.offset.reset=error")
    series = 'kafka_network_requestmetrics_errors_total{request="Fetch",error="OFFSET_OUT_OF_RANGE"}'
    equal(scrape()[series], 1, "offsets out of range")


@check("metrics.connections")
def _():
    samples = scrape()
    created = samples['kafka_server_socket_server_metrics_connection_creation_total{listener="PLAINTEXT"}']
    assert created >= 5, f"{created} connections for five runs of kcat"


@check("metrics.process")
def _():
    samples = scrape()
    assert 1e6 < samples["process_resident_memory_bytes"] < 1e9, samples["process_resident_memory_bytes"]
    assert samples["process_cpu_seconds_total"] >= 0, "CPU time"
    assert 3 < samples["process_open_fds"] < samples["process_max_fds"], samples["process_open_fds"]


@check("restart.log-stays")
def _():
    running = brokers.Broker(HOME)
    running.stop()
    running.start()
    samples = scrape()
    equal(samples[f'kafka_log_log_logendoffset{{topic="{TOPIC}",partition="0"}}'], 500, "end offset")
    equal(total(samples, "messagesin"), 0, "messages in since the start")


@check("restart.stopped-is-gone")
def _():
    running = brokers.Broker(HOME)
    running.stop()
    try:
        get("/health")
        raise AssertionError("a stopped broker answers")
    except urllib.error.URLError:
        pass
    running.start()
    equal(get("/ready"), "ok\n", "/ready")


checks.run_all()
