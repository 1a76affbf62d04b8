"""Bad files and bad moments: configurations that are half written, storms of signals, kill -9, ends in the middle of work."""
import os
import re
import signal
import sys
import threading
import time
import urllib.parse

from exporter import Exporter, page
from lib import NARTHEX, Process, Server, free_port, get_json, http, wait_until, workdir, write

CONFIG = """
global:
  scrape_interval: 500ms
  scrape_timeout: 400ms
  evaluation_interval: 500ms
rule_files: ["%(dir)s/rules/*.yml"]
scrape_configs:
  - job_name: own
    static_configs: [{targets: ["127.0.0.1:%(port)d"], labels: {team: "%(team)s"}}]
  - job_name: files
    file_sd_configs: [{files: ["%(dir)s/targets/*.yml"], refresh_interval: 500ms}]
"""
RULES = """
groups:
  - name: g
    rules:
      - record: own:up
        expr: up{job="own"}
"""
LONG = 'max(quantile_over_time(0.9, sum_over_time(rate(wide{n=~"1.?.?"}[10m])[3h:250ms])[3h:250ms]))'


def reload(s):
    status, _, body = http("POST", s.url + "/-/reload", timeout=120)
    return status, body.decode("utf-8", "replace")


def metric(s, name):
    text = http("GET", s.url + "/metrics")[2].decode()
    return next(float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)


def check_reloads(s, d, values):
    """Every prefix of a good file, and files that are wrong in one place: the old configuration goes on and the answer says why."""
    good = CONFIG % values
    rules = f"{d}/rules/rules.yml"
    config = f"{d}/prometheus.yml"
    refused = 0
    for n in range(0, len(good), 7):
        write(config, good[:n])
        status, text = reload(s)
        # Some prefixes are whole configurations of their own.
        assert status == 200 or (status == 500 and "failed to reload config" in text and text.count("\n") <= 20), (n, status, text)
        refused += status == 500
    assert refused > 20, f"{refused} prefixes refused"
    write(config, good)
    assert reload(s)[0] == 200
    for text, why in (("\0\0\0\0", "control characters|yaml"), ("global: [", "yaml|found|expected"), ("a: &a [*a]\n", "anchor|field a|yaml"),
                      ("global: {scrape_interval: -1s}", "not a valid duration string"), ("x" * 1000000, "."),
                      ("global: {scrape_interval: 1s, scrape_interval: 2s}", "already"), ("{" * 100000, "."), ("- " * 100000, "."),
                      ("scrape_configs: [{job_name: a}, {job_name: a}]", "multiple scrape configs with job name"),
                      ("scrape_configs: [{job_name: a, scrape_timeout: 1h}]", "scrape timeout greater than scrape interval"),
                      ("scrape_configs: [{job_name: a, relabel_configs: [{source_labels: [a], regex: '(('}]}]", r"error parsing regexp"),
                      ("\xff\xfe", ".")):
        write(config, text)
        status, answer = reload(s)
        assert status == 500 and re.search(why, answer), (text[:50], status, answer[:300])
        assert len(answer) < 70000, len(answer)
    assert metric(s, "prometheus_config_last_reload_successful") == 0
    assert s.query("up{job='own', team='a'} == 1"), "the old configuration is in charge"
    os.unlink(config)
    assert reload(s)[0] == 500, "a file that is gone"
    os.mkdir(config)
    assert reload(s)[0] == 500, "a directory"
    os.rmdir(config)
    write(config, good)
    write(rules, RULES.replace("up{", "up{{"))
    status, answer = reload(s)
    assert status == 500, answer
    write(rules, RULES)
    assert reload(s)[0] == 200
    assert metric(s, "prometheus_config_last_reload_successful") == 1
    print(f"{refused} half-written configurations refused")


def check_targets(s, d, port):
    """A file of targets that is half written keeps the targets of the last good one."""
    good = '[{"targets": ["127.0.0.1:%d"], "labels": {"from": "file"}}]' % port
    write(f"{d}/targets/t.yml", good)
    wait_until("the target of the file", lambda: s.query("up{from='file'} == 1"), process=s.process)
    for text in (good[:20], "[{]", "{", "\0", "- targets: [1, {a: b}]", "a" * 100000, "[" * 100000):
        write(f"{d}/targets/t.yml", text)
        time.sleep(0.7)
        assert s.query("up{from='file'} == 1"), text[:40]
    write(f"{d}/targets/t.yml", good)


def check_storm(s, d, values):
    """A hundred SIGHUPs while both configurations alternate, with queries beside them."""
    stop = threading.Event()
    failures = []

    def ask():
        while not stop.is_set():
            try:
                s.query("count(up)")
                s.data("targets")
                s.data("rules")
            except Exception as e:  # noqa: BLE001: whatever it is, it is told below
                failures.append(e)
                return

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for t in askers:
        t.start()
    for i in range(100):
        write(f"{d}/prometheus.yml", CONFIG % {**values, "team": "ab"[i % 2]})
        os.kill(s.process.p.pid, signal.SIGHUP)
        time.sleep(0.02)
    write(f"{d}/prometheus.yml", CONFIG % {**values, "team": "last"})
    os.kill(s.process.p.pid, signal.SIGHUP)
    wait_until("the last configuration", lambda: s.query("up{job='own', team='last'} == 1"), process=s.process)
    stop.set()
    for t in askers:
        t.join()
    assert not failures, failures
    write(f"{d}/prometheus.yml", CONFIG % values)
    assert reload(s)[0] == 200
    wait_until("the first configuration", lambda: s.query("up{job='own', team='a'} == 1"), process=s.process)


def counted(s):
    """The values of the counter that are stored, oldest first; the exporter hands each out once."""
    result = s.query("counted{job='own', team='a'}[1h]")
    return [int(v) for r in result for _, v in r["values"]]


def check_kills(s, start, given):
    """kill -9 at any time: what a query has shown once is there after the restart."""
    for round in range(4):
        for _ in range(8):
            seen = counted(s)
            time.sleep(0.17)
        s.kill()
        s = start()
        after = counted(s)
        assert after[:len(seen)] == seen, f"round {round}: {set(seen) - set(after)} of {len(seen)} are gone"
    print(f"{len(after)} samples over 4 kills, none lost that was seen")
    return s


def check_stop_in_query(s, start):
    """SIGTERM while queries run for minutes: they are cancelled, the end is clean, nothing is lost."""
    url = f"{s.url}/api/v1/query?" + urllib.parse.urlencode({"query": LONG})
    answers = []

    def ask():
        try:
            answers.append(http("GET", url, timeout=60)[0])
        except OSError as e:
            answers.append(e)

    askers = [threading.Thread(target=ask) for _ in range(6)]
    for t in askers:
        t.start()
    wait_until("queries to run", lambda: metric(s, "prometheus_engine_queries") >= 4, process=s.process)
    seen = counted(s)
    began = time.monotonic()
    assert s.stop() == 0, s.process.tail()
    took = time.monotonic() - began
    for t in askers:
        t.join()
    assert all(a != 200 for a in answers), answers
    print(f"stopped within {took:.1f} s under 6 long queries: {answers[0]}")
    s = start()
    assert counted(s)[:len(seen)] == seen
    return s


def check_many_alerts(s, d, values):
    """A rule whose alert would have a million series is refused in words, and the other rules go on."""
    write(f"{d}/rules/million.yml", """
groups:
  - name: million
    interval: 5s
    limit: 1000
    rules:
      - alert: Million
        expr: %s
  - name: duplicate
    rules:
      - record: twice
        expr: label_replace({__name__=~"counted|up", job="own"}, "__name__", "", "", "")
  - name: template
    rules:
      - alert: Template
        expr: vector(1)
        annotations: {a: "{{ range $i := query \\"up\\" }}{{ . | nosuchfunction }}{{ end }}", b: "{{ .Nope }"}
""" % million())
    status, text = reload(s)
    assert status == 500 and ("function \"nosuchfunction\" not defined" in text or "template" in text), text[:500]
    write(f"{d}/rules/million.yml", open(f"{d}/rules/million.yml").read().split("  - name: template")[0])
    assert reload(s)[0] == 200

    def failing():
        rules = {r["name"]: r for g in s.data("rules")["groups"] for r in g["rules"]}
        return rules if rules["Million"]["health"] == "err" and rules["twice"]["health"] == "err" else None

    rules = wait_until("the rules to fail", failing, timeout=120, process=s.process)
    assert re.search(r"exceeded limit of 1000 with \d+ alerts|too many samples|more memory", rules["Million"]["lastError"]), rules["Million"]["lastError"]
    assert s.query("own:up == 1") and rules["own:up"]["health"] == "ok"
    assert s.query("ALERTS{alertname='Million'}") == []
    os.unlink(f"{d}/rules/million.yml")
    assert reload(s)[0] == 200


def million():
    """2,000 series doubled nine times."""
    expr = "wide"
    for i in range(9):
        expr = f'({expr} or label_replace({expr}, "d{i}", "1", "", ""))'
    return expr


def main():
    d = workdir()
    os.mkdir(f"{d}/rules")
    os.mkdir(f"{d}/targets")
    count = [0]

    def pages():
        count[0] += 1
        return page(f"counted {count[0]}\n" + "".join(f'wide{{n="{i}"}} 1\n' for i in range(2000)))

    e = Exporter({"/metrics": pages})
    values = {"dir": d, "port": e.port, "team": "a"}
    write(f"{d}/rules/rules.yml", RULES)
    config = write(f"{d}/prometheus.yml", CONFIG % values)

    logs = []

    def start():
        s = Server(NARTHEX, config, f"{d}/data", ["--web.enable-lifecycle"], logdir=d)
        logs.append(s.process)
        return s

    s = start()
    wait_until("the first samples", lambda: s.query("own:up == 1"), process=s.process)
    wanted = set(sys.argv[1:])

    def step(check, *args):
        if wanted and check.__name__ not in wanted:
            return None
        began = time.monotonic()
        result = check(*args)
        print(f"{check.__name__}: {time.monotonic() - began:.1f} s")
        return result

    step(check_reloads, s, d, values)
    step(check_targets, s, d, e.port)
    step(check_storm, s, d, values)
    step(check_many_alerts, s, d, values)
    s = step(check_kills, s, start, count) or s
    s = step(check_stop_in_query, s, start) or s
    seen = counted(s)
    assert s.stop() == 0
    s = start()
    assert counted(s)[:len(seen)] == seen
    assert s.stop() == 0
    e.close()
    for p in logs:
        log = p.tail(1 << 22)
        assert "Sanitizer" not in log and "runtime error" not in log, log[-6000:]


main()
