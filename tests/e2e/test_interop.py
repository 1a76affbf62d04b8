"""Both ways with Prometheus: it reads what Narthex wrote and left by kill -9, and the other way round."""
import os
import shutil
import subprocess
import sys
import time

from lib import NARTHEX, Server, by_labels, peer, wait_until, workdir, write

# Small blocks, so that half a minute cuts some.
FLAGS = ["--storage.tsdb.min-block-duration=10s", "--storage.tsdb.max-block-duration=40s",
         "--storage.tsdb.retention.time=1000d"]
CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: "go_gc_.*", action: drop}}
"""
# No rate() or increase(): 2.42 extrapolates to the start of a counter otherwise (docs/peer-differences.md).
# Every sample there is, then questions about them.
SAMPLES = ["{job='self'}[1h]", "up[1h]"]
QUERIES = [
    "count({__name__!=''})",
    "count by (__name__) ({job='self'})",
    "sum(scrape_samples_scraped)",
    "count_over_time(prometheus_http_requests_total[1h])",
    "sum_over_time(up[1h])",
    "max_over_time(prometheus_tsdb_head_series[2h])",
    "last_over_time(process_start_time_seconds[2h])",
    "min by (job) (min_over_time(scrape_duration_seconds[2h]))",
    "sum by (handler) (irate(prometheus_http_requests_total[20s]))",
    "changes(prometheus_http_requests_total[30s]) + resets(prometheus_http_requests_total[30s])",
    "deriv(process_resident_memory_bytes[20s])",
    "histogram_quantile(0.9, sum by (le) (prometheus_http_request_duration_seconds_bucket))",
    "topk(3, scrape_samples_scraped) or absent(nosuch)",
]


def close(a, b):
    a, b = float(a), float(b)
    return a == b or (a != a and b != b) or abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def same(what, a, b):
    a, b = by_labels(a), by_labels(b)
    if a.keys() != b.keys():
        raise AssertionError(f"{what}: series differ: only here {sorted(a.keys() - b.keys())[:3]}, "
                             f"only there {sorted(b.keys() - a.keys())[:3]}")
    for key in a:
        points_a = a[key] if isinstance(a[key][0], list) else [a[key]]
        points_b = b[key] if isinstance(b[key][0], list) else [b[key]]
        if len(points_a) != len(points_b) or not all(
                p[0] == q[0] and close(p[1], q[1]) for p, q in zip(points_a, points_b)):
            raise AssertionError(f"{what} {key}: {points_a[:5]} against {points_b[:5]}")


def compare(one, two, start, end):
    """The same answers to instant and range queries; times stand off every sample's time by a fraction of a millisecond grid."""
    for query in SAMPLES:
        same(query, one.query(query, time=f"{end + 1:.3f}"), two.query(query, time=f"{end + 1:.3f}"))
    for query in QUERIES:
        for t in (start + (end - start) / 2, end + 1):
            t = f"{t:.3f}"
            same(f"{query} at {t}", one.query(query, time=t), two.query(query, time=t))
        params = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": "1.7"}
        same(f"{query} range", one.data("query_range", **params)["result"], two.data("query_range", **params)["result"])


def fill(program, d, name):
    """Scrapes itself, is killed, starts again, cuts blocks, is killed again. Returns the data directory and its times."""
    config, data = f"{d}/{name}.yml", f"{d}/{name}-data"
    write(config, CONFIG.format(port=1))
    start = time.time()
    for seconds in (6, 32):
        s = Server(program, config, data, FLAGS + ["--web.enable-lifecycle"], name=name, logdir=d)
        write(config, CONFIG.format(port=s.port))
        subprocess.run(["curl", "-sf", "-X", "POST", s.url + "/-/reload"], check=True)
        until = time.time() + seconds
        while time.time() < until:
            s.query("rate(prometheus_http_requests_total[5s])")
            time.sleep(0.2)
        s.kill()
    return data, start, time.time()


def answers_agree(d, data, start, end):
    """Both programs on copies of one directory."""
    config = write(f"{d}/empty.yml", "global: {scrape_interval: 1h}\n")
    servers = []
    for name, program in (("narthex", NARTHEX), ("prometheus", peer("prometheus"))):
        copy = f"{data}-{name}"
        shutil.copytree(data, copy)
        servers.append(Server(program, config, copy, FLAGS, name=f"{name}-copy", logdir=d))
    compare(servers[0], servers[1], start, end)
    total = sum(len(r["values"]) for r in servers[0].query(SAMPLES[0], time=f"{end + 1:.3f}"))
    for s in servers:
        assert s.stop() == 0
    return total


def promtool_accepts(data):
    promtool = peer("promtool")
    blocks = [b for b in os.listdir(data) if len(b) == 26]
    assert len(blocks) >= 2, f"blocks were cut: {blocks}"
    listed = subprocess.run([promtool, "tsdb", "list", data], capture_output=True, text=True)
    assert listed.returncode == 0 and all(b in listed.stdout for b in blocks), listed.stdout + listed.stderr
    analyzed = subprocess.run([promtool, "tsdb", "analyze", data], capture_output=True, text=True)
    assert analyzed.returncode == 0, analyzed.stdout + analyzed.stderr


def main():
    prometheus = peer("prometheus")
    d = workdir()
    writer = sys.argv[1]
    data, start, end = fill(NARTHEX if writer == "narthex" else prometheus, d, writer)
    total = answers_agree(d, data, start, end)
    print(f"{writer} wrote {total} samples that both read alike")
    if writer == "narthex":
        promtool_accepts(f"{data}-narthex")
        promtool_accepts(f"{data}-prometheus")


main()
