#!/usr/bin/env python3
"""The table of budgets: Narthex beside whichever peers are present, one server at a time, on the same machine in the same run.

    bench/run.py [row ...]      rows: scrape memory restart disk rules query geomean json instant rps  (all by default)
    bench/run.py --quick        fewer scrapes and repetitions, to see that it runs

Every figure is measured in this run. A ratio is the peer's figure divided by Narthex's (requests per second: the other way round), so more
than 1 means that Narthex is better. `want` is the budget of the design: the figure itself and, where the design's own table gives the
peer's figure, the ratio it stands for (that table was measured against Prometheus 3.14 on one machine; Debian's is 2.42).
"""
import http.client
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
import lib  # noqa: E402

BIN = os.path.join(ROOT, "build/release/bench")
STEPS, STEP_S = 480, 15
QUICK = "--quick" in sys.argv
CLOCK_TICK = os.sysconf("SC_CLK_TCK")

# name, query, range seconds (None: instant), step seconds, want in ms, the peer's figure in the design's table
QUERY_ROWS = [
    ("histogram_quantile over 8,000 buckets, 360 steps", "histogram_quantile(0.9, rate(bench_latency_bucket[5m]))", 5400,
     15, 150, 1094),
    ("sum of 20,000 series, 240 steps", "sum(bench_gauge)", 3600, 15, 80, 574),
    ("sum by (instance) (rate), 1,000 series, 360 steps", "sum by (instance) (rate(bench_requests_total[5m]))", 5400, 15, 15,
     135),
    ("quantile_over_time 30 m, 500 series, 360 steps", "quantile_over_time(0.9, bench_small[30m])", 5400, 15, 500, 2440),
    ("binary join of two rates, 1,000 series each, 360 steps",
     "rate(bench_errors_total[5m]) / on (instance, path) rate(bench_requests_total[5m])", 5400, 15, 80, 746),
]
GEOMEAN = [
    ("sum(bench_gauge)", 3600, 15), ("avg by (instance) (bench_gauge)", 3600, 60), ("max(bench_gauge)", 3600, 15),
    ("sum by (instance) (rate(bench_requests_total[5m]))", 5400, 15), ("topk(5, bench_small)", 3600, 15),
    ("quantile by (instance) (0.9, bench_small)", 3600, 15), ("max_over_time(bench_small[30m])", 3600, 15),
    ("avg_over_time(bench_small[1h])", 3600, 15), ("sum_over_time(bench_small[10m])", 3600, 15),
    ("quantile_over_time(0.5, bench_hundred[30m])", 3600, 15), ("stddev_over_time(bench_hundred[30m])", 3600, 15),
    ("histogram_quantile(0.9, sum by (le) (rate(bench_latency_bucket[5m])))", 3600, 15),
    ("rate(bench_errors_total[5m]) / on (instance, path) rate(bench_requests_total[5m])", 3600, 15),
    ("bench_small > 0 and on (instance) bench_hundred", 3600, 15), ("count(bench_gauge{path=~'1.*'})", 3600, 15),
    ("sum by (path) (bench_gauge{instance=~'host-1.:9100'})", 3600, 15), ("increase(bench_requests_total[1h])", 3600, 60),
    ("max_over_time(rate(bench_requests_total{path='1'}[5m])[30m:1m])", 3600, 60), ("bench_hundred", None, None),
    ("sum(rate(bench_requests_total[5m]))", None, None), ("count by (instance) (bench_gauge)", None, None),
    ("label_replace(bench_small, 'x', '$1', 'instance', '(.*):.*')", None, None),
]


class Peer:
    """One server under test: how it is started, and what it answers to."""

    def __init__(self, name, program):
        self.name, self.program = name, program

    def start(self, config, data, workdir):
        port = lib.free_port()
        if self.name == "VictoriaMetrics":
            args = [self.program, f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=10y",
                    "-search.latencyOffset=0s", "-search.disableCache"]
            if config:
                args.append(f"-promscrape.config={config}")
            ready = "/health"
        else:
            args = [self.program, f"--config.file={config}", f"--storage.tsdb.path={data}",
                    f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=10y", "--log.level=warn"]
            ready = "/-/ready"
        started = time.monotonic()
        process = lib.Process(args, os.path.join(workdir, self.name + ".log"))
        url = f"http://127.0.0.1:{port}"
        lib.wait_until(f"{self.name} ready", lambda: lib.http("GET", url + ready, timeout=2)[0] == 200, process=process,
                       timeout=300, pause=0.01)
        return Running(self.name, process, port, time.monotonic() - started)


class Running:
    def __init__(self, name, process, port, start_s):
        self.name, self.process, self.port, self.start_s = name, process, port, start_s
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise AssertionError(f"{self.name} {path}: {answer.status} {body[:300]}")
        return body

    def cpu_s(self):
        with open(f"/proc/{self.process.p.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICK

    def rss(self):
        with open(f"/proc/{self.process.p.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1]) * 1024

    def stop(self):
        self.connection.close()
        self.process.kill()


def peers():
    found = [Peer("Narthex", lib.NARTHEX)]
    for name, key in (("Prometheus", "prometheus"), ("VictoriaMetrics", "victoria-metrics")):
        path = os.path.join(lib.PEERS, lib.PEER_PROGRAMS[key])
        if os.access(path, os.X_OK):
            found.append(Peer(name, path))
        else:
            print(f"{name} is not under {lib.PEERS}: left out", file=sys.stderr)
    return found


class Table:
    def __init__(self):
        self.rows = []

    def add(self, work, unit, figures, want=None, want_ratio=None, more_is_better=False):
        """figures: by server name."""
        ours = figures.get("Narthex")
        cells = []
        for name, value in figures.items():
            text = f"{name} {fmt(value)} {unit}"
            if name != "Narthex" and ours and value:
                ratio = ours / value if more_is_better else value / ours
                text += f" (x{ratio:.2f})"
            cells.append(text)
        reached = ""
        if want is not None and ours is not None:
            reached = "reached" if (ours >= want if more_is_better else ours <= want) else "MISSED"
            reached = f"   want {fmt(want)} {unit}{f' (x{want_ratio:.1f})' if want_ratio else ''}: {reached}"
        line = f"{work:58} " + "   ".join(cells) + reached
        print(line, flush=True)
        self.rows.append(line)


def fmt(v):
    return f"{v:,.0f}" if v >= 100 else f"{v:.3g}"


# ---- scraping, memory ----

def scrape_config(d, name, targets, interval, port):
    path = f"{d}/{name}.yml"
    with open(path, "w") as f:
        f.write(f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\nscrape_configs:\n  - job_name: load\n"
                "    static_configs:\n      - targets: [")
        f.write(", ".join(f'"127.0.0.{1 + i}:{port}"' for i in range(targets)) + "]\n")
    return path


def run_scrapes(table, servers, d, targets, series, scrapes, interval, rows):
    """CPU per million samples between two moments, resident bytes per series at the end."""
    cpu, memory = {}, {}
    for server in servers:
        base = 21000
        load = lib.Process([f"{BIN}/load_generator", "--port", str(base), "--targets", str(targets), "--series", str(series),
                            "--interval-ms", str(int(interval * 1000))], f"{d}/load.log")
        time.sleep(1)
        s = server.start(scrape_config(d, f"scrape-{server.name}", targets, f"{int(interval * 1000)}ms", base), f"{d}/scrape-{server.name}", d)
        time.sleep(10 * interval)
        before, at = s.cpu_s(), time.monotonic()
        time.sleep(max(scrapes - 10, 10) * interval)
        seconds = time.monotonic() - at
        samples = seconds / interval * targets * series
        cpu[server.name] = (s.cpu_s() - before) / (samples / 1e6)
        memory[server.name] = s.rss() / (targets * series)
        assert load.alive(), load.tail()
        s.stop()
        load.kill()
        shutil.rmtree(f"{d}/scrape-{server.name}", ignore_errors=True)
    if "cpu" in rows:
        table.add(f"scraping {targets} targets x {series:,} series, CPU seconds per million samples", "s", cpu, 0.30, 1.65 / 0.30)
    table.add(f"resident bytes per active series, {targets * series:,} series, {scrapes} scrapes", "B", memory, rows["want"],
              rows["peer"] / rows["want"])


# ---- rules ----

RULES_NR, RULE_GROUPS_NR, RULE_INTERVAL_S = 1000, 20, 15


def write_rules(path):
    """Each rule over its own series of the load: one of each target, as a sum or as a rate over five minutes."""
    groups = []
    for g in range(RULE_GROUPS_NR):
        rules = []
        for i in range(g, RULES_NR, RULE_GROUPS_NR):
            selector = f'bench_requests_{i % 50}_total{{handler="/api/v1/item/{i // 50}"}}'
            expr = f"sum by (job) ({selector})" if i % 2 else f"sum by (job) (rate({selector}[5m]))"
            rules.append({"record": f"bench:rule:{i}", "expr": expr})
        groups.append({"name": f"g{g}", "interval": f"{RULE_INTERVAL_S}s", "rules": rules})
    with open(path, "w") as f:
        json.dump({"groups": groups}, f)


def metric_of(s, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in s.get("/metrics").decode().splitlines() if line.startswith(name))


def cpu_over(s, seconds):
    before, at = s.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (s.cpu_s() - before) / (time.monotonic() - at)


def run_rules(table, servers, d):
    """1,000 rules every 15 s, each over 200 or more of 200,000 scraped series: CPU beyond what scraping takes, and missed iterations."""
    targets, series, cpu, base = 200, 1000, {}, 21000
    for server in servers:
        if server.name == "VictoriaMetrics":
            continue  # its rules are another program's
        config, rules = scrape_config(d, f"rules-{server.name}", targets, "15s", base), f"{d}/rules-{server.name}.json"
        with open(config, "a") as f:
            f.write(f"rule_files: [{json.dumps(rules)}]\n")
        with open(rules, "w") as f:
            f.write("groups: []\n")
        load = lib.Process([f"{BIN}/load_generator", "--port", str(base), "--targets", str(targets), "--series", str(series),
                            "--interval-ms", "15000"], f"{d}/load.log")
        time.sleep(1)
        s = server.start(config, f"{d}/rules-{server.name}", d)
        time.sleep(30 if QUICK else 300)
        scraping = cpu_over(s, 30)
        write_rules(rules)
        s.process.p.send_signal(1)
        time.sleep(RULE_INTERVAL_S * 2)
        cpu[server.name] = (cpu_over(s, 45 if QUICK else 120) - scraping) * RULE_INTERVAL_S * 1000 / RULES_NR
        missed, failed = metric_of(s, "prometheus_rule_group_iterations_missed_total"), metric_of(
            s, "prometheus_rule_evaluation_failures_total")
        written = len(json.loads(s.get("/api/v1/query?query=" + urllib.parse.quote('{__name__=~"bench:rule:.*"}')))["data"]["result"])
        print(f"  {server.name}: {missed:.0f} iterations missed, {failed:.0f} evaluations failed, {written} recorded series", flush=True)
        if server.name == "Narthex" and (missed or failed or written != RULES_NR):
            raise AssertionError("rules: not every rule was evaluated every time")
        assert load.alive(), load.tail()
        s.stop()
        load.kill()
        shutil.rmtree(f"{d}/rules-{server.name}", ignore_errors=True)
    table.add("1,000 rules over 200 series each, every 15 s, CPU per evaluated rule", "ms", cpu,
              cpu["Prometheus"] / 8 if "Prometheus" in cpu else None, 8)


# ---- one data set for all ----

class DataSet:
    """Written once; each server gets its own copy (VictoriaMetrics: an import)."""

    def __init__(self, d, servers):
        self.d, self.end = d, int(time.time()) // STEP_S * STEP_S - STEP_S
        self.servers = servers
        self.running = {}
        self.dir = f"{d}/data"
        subprocess.run([f"{BIN}/make_data", f"--db={self.dir}", f"--end-ms={self.end * 1000}", f"--steps={STEPS}"], check=True)
        with open(f"{d}/empty.yml", "w") as f:
            f.write("global: {scrape_interval: 1h}\n")

    def start(self, server):
        if server.name in self.running:
            return self.running[server.name]
        copy = f"{self.d}/{server.name}-data"
        if server.name == "VictoriaMetrics":
            s = server.start(None, copy, self.d)
            self.import_text(s)
        else:
            shutil.copytree(self.dir, copy)
            s = server.start(f"{self.d}/empty.yml", copy, self.d)
        self.running[server.name] = s
        return s

    def import_text(self, s):
        text = subprocess.Popen([f"{BIN}/make_data", "--text", f"--end-ms={self.end * 1000}", f"--steps={STEPS}"],
                                stdout=subprocess.PIPE)
        left = b""
        while True:
            chunk = text.stdout.read(16 << 20)
            body, _, rest = (left + chunk).rpartition(b"\n")
            if not chunk:
                break
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{s.port}/api/v1/import/prometheus", data=body + b"\n",
                                                          method="POST")).read()
            left = rest
        text.wait()
        s.get("/internal/force_flush")
        time.sleep(1)

    def stop(self):
        for s in self.running.values():
            s.stop()
        self.running = {}


def path_of(data, query, seconds, step):
    if seconds is None:
        return "/api/v1/query?" + urllib.parse.urlencode({"query": query, "time": data.end})
    start = data.end - seconds + (step if seconds % step == 0 else 0)
    return "/api/v1/query_range?" + urllib.parse.urlencode({"query": query, "start": start, "end": data.end, "step": step,
                                                            "nocache": 1})


def best_ms(s, path, runs=None):
    runs = runs or (2 if QUICK else 5)
    s.get(path)
    times = []
    for _ in range(runs):
        at = time.perf_counter()
        body = s.get(path)
        times.append((time.perf_counter() - at) * 1000)
    return min(times), json.loads(body)["data"]["result"]


def same_shape(what, results):
    """A fast answer that is not the answer would be no figure."""
    counts = {name: len(result) for name, result in results.items()}
    for name, nr in counts.items():
        if name != "Narthex" and nr != counts["Narthex"]:
            print(f"  note: {what}: {name} gives {nr} series, Narthex {counts['Narthex']}", flush=True)
    if counts["Narthex"] == 0:
        raise AssertionError(f"{what}: Narthex gives nothing")


def measure(data, query, seconds, step):
    figures, results = {}, {}
    for server in data.servers:
        figures[server.name], results[server.name] = best_ms(data.start(server), path_of(data, query, seconds, step))
    same_shape(query, results)
    return figures


def run_queries(table, data, rows):
    if "query" in rows:
        for name, query, seconds, step, want, peer in QUERY_ROWS:
            table.add(name, "ms", measure(data, query, seconds, step), want, peer / want)
    if "json" in rows:
        table.add("500 series x 240 steps as JSON", "ms", measure(data, "bench_small", 3600, 15), 15, 21 / 15)
    if "instant" in rows:
        table.add("instant vector of 100 series", "ms", measure(data, "bench_hundred", None, None), 1.5, 2.4 / 1.5)
    if "rps" in rows:
        rps(table, data, "instant vector, one target's series of one metric, requests/s",
            "bench_requests_total{instance='host-7:9100'}", 20000, 20000 / 13900)
        rps(table, data, "instant sum by (rate) over 1,000 series, requests/s",
            "sum by (instance) (rate(bench_requests_total[5m]))", 800, 800 / 489)
    if "geomean" in rows:
        geomean(table, data)


def rps(table, data, name, query, want, ratio):
    figures = {}
    for server in data.servers:
        s = data.start(server)
        out = subprocess.run(["wrk", "-t1", "-c64", f"-d{2 if QUICK else 5}s",
                              f"http://127.0.0.1:{s.port}" + path_of(data, query, None, None)],
                             capture_output=True, text=True, check=True).stdout
        figures[server.name] = float(next(line for line in out.splitlines() if "Requests/sec" in line).split()[1])
        if "Non-2xx" in out:
            raise AssertionError(f"{server.name}: {out}")
    table.add(name, "", figures, want, ratio, more_is_better=True)


def geomean(table, data):
    logs = {}
    for query, seconds, step in GEOMEAN:
        figures = measure(data, query, seconds, step)
        print("  " + f"{query:90} " + "  ".join(f"{n} {fmt(v)}" for n, v in figures.items()), flush=True)
        for name, value in figures.items():
            if name != "Narthex":
                logs.setdefault(name, []).append(math.log(value / figures["Narthex"]))
    for name, want in (("Prometheus", 5), ("VictoriaMetrics", 1.5)):
        if name in logs:
            mean = math.exp(sum(logs[name]) / len(logs[name]))
            worst = math.exp(min(logs[name]))
            print(f"geometric mean over {len(GEOMEAN)} queries: x{mean:.2f} of {name} (worst x{worst:.2f})   want x{want}: "
                  f"{'reached' if mean >= want else 'MISSED'}", flush=True)


# ---- restart, disk ----

def run_restart(table, d, servers):
    """214,200 series with 70 samples each: few chunks are full, so nearly everything must come out of the WAL."""
    figures = {}
    source = f"{d}/restart"
    subprocess.run([f"{BIN}/make_data", f"--db={source}", f"--end-ms={int(time.time()) * 1000}", "--steps=70", "--scale=7"],
                   check=True)
    with open(f"{d}/empty.yml", "w") as f:
        f.write("global: {scrape_interval: 1h}\n")
    for server in servers:
        if server.name == "VictoriaMetrics":
            continue  # it has no WAL
        runs = []
        for _ in range(1 if QUICK else 3):
            copy = f"{d}/restart-{server.name}"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy)
            s = server.start(f"{d}/empty.yml", copy, d)
            runs.append(s.start_s)
            s.stop()
            shutil.rmtree(copy, ignore_errors=True)
        figures[server.name] = min(runs)
    table.add("restart after kill -9 with 15 M samples in the WAL", "s", figures, 1.0, 5.6)


def tree_bytes(path):
    return sum(os.path.getsize(os.path.join(root, f)) for root, _, files in os.walk(path) for f in files)


def run_disk(table, d, servers):
    """The same samples, old enough to be cut into blocks at once."""
    end = (int(time.time()) // 7200 - 12) * 7200 - 1
    subprocess.run([f"{BIN}/make_data", f"--db={d}/old", f"--end-ms={end * 1000}", "--steps=1440"], check=True)
    figures = {}
    with open(f"{d}/empty.yml", "w") as f:
        f.write("global: {scrape_interval: 1h}\n")
    for server in servers:
        if server.name == "VictoriaMetrics":
            continue
        copy = f"{d}/disk-{server.name}"
        shutil.copytree(f"{d}/old", copy)
        s = server.start(f"{d}/empty.yml", copy, d)

        def blocks():
            return [b for b in os.listdir(copy) if len(b) == 26 and os.path.exists(f"{copy}/{b}/meta.json")]
        lib.wait_until("blocks", blocks, timeout=180, process=s.process)
        time.sleep(20)
        samples = disk = 0
        for b in blocks():
            with open(f"{copy}/{b}/meta.json") as f:
                samples += json.load(f)["stats"]["numSamples"]
            disk += tree_bytes(f"{copy}/{b}")
        figures[server.name] = disk / samples
        s.stop()
        shutil.rmtree(copy)
    if "Prometheus" in figures:
        table.add("disk, blocks, bytes per sample with index", "B", figures, figures["Prometheus"] * 1.01, 1)


def main():
    rows = [a for a in sys.argv[1:] if not a.startswith("-")]
    known = ["scrape", "memory", "restart", "disk", "rules", "query", "json", "instant", "rps", "geomean"]
    for row in rows:
        if row not in known:
            sys.exit(f"unknown row {row}; rows are: {' '.join(known)}")
    rows = rows or known
    servers, table = peers(), Table()
    d = tempfile.mkdtemp(prefix="narthex-bench-", dir=os.path.join(ROOT, "build"))
    try:
        if "scrape" in rows:
            run_scrapes(table, servers, d, 200, 1000, 20 if QUICK else 75, 1, {"cpu": 1, "want": 900, "peer": 2400})
        if "memory" in rows:
            run_scrapes(table, servers, d, 100, 1000, 30 if QUICK else 480, 0.25, {"want": 1100, "peer": 3650})
        if "rules" in rows:
            run_rules(table, servers, d)
        if "restart" in rows:
            run_restart(table, d, servers)
        if set(rows) & {"query", "json", "instant", "rps", "geomean"}:
            data = DataSet(d, servers)
            run_queries(table, data, rows)
            data.stop()
        if "disk" in rows:
            run_disk(table, d, servers)
    finally:
        shutil.rmtree(d, ignore_errors=True)


main()
