"""Rules and alerts with real processes. One argument names the part: see PARTS at the end.

Alerts of the side-by-side part depend on time() alone, so that two servers with the same rule file, which evaluate at the same
slots, must send the same alerts with the same times to the millisecond."""
import base64
import datetime
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import lib
from exporter import Exporter, page
from lib import NARTHEX, Process, Server, free_port, get_json, http, peer, skip, wait_until, workdir, write


class FakeAlertmanager:
    """Takes v2 posts. behave(alerts) gives the status to answer with, after whatever time it likes."""

    def __init__(self, behave=lambda alerts: 200, tls=None):
        self.posts = []  # (time of arrival, alerts, headers, path)
        self.taken = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                alerts = json.loads(body)
                outer.posts.append((time.time(), alerts, dict(self.headers), self.path))
                status = behave(alerts)  # (a webhook's body is one object)
                if status // 100 == 2:
                    outer.taken.extend(alerts if isinstance(alerts, list) else [])
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def by_name(self, name):
        return [a for a in list(self.taken) if a["labels"].get("alertname") == name]


def when(text):
    """A v2 time in milliseconds."""
    text = re.sub(r"(\.\d{1,6})\d*Z$", r"\1Z", text)
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    t = datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc)
    return round(t.timestamp() * 1000)


def config(alertmanagers, rules, scrape="", more="", interval="1s"):
    """The configuration of one server; alertmanagers is YAML of the list alerting.alertmanagers."""
    return f"""
global: {{scrape_interval: 500ms, scrape_timeout: 400ms, evaluation_interval: {interval}, external_labels: {{region: eu}}}}
rule_files: [{json.dumps(rules)}]
alerting:
  alertmanagers:
{alertmanagers}
{more}
scrape_configs: [{scrape}]
"""


def static(*ports, more=""):
    return "".join(f"    - {{static_configs: [{{targets: ['127.0.0.1:{p}']}}]{more}}}\n" for p in ports)


def start(work, name, text, program=None, flags=()):
    path = write(os.path.join(work, f"{name}.yml"), text)
    return Server(program or NARTHEX, path, os.path.join(work, f"{name}-data"), flags=[
        "--web.external-url=http://prom.example/x", "--rules.alert.resend-delay=1s", "--web.route-prefix=/", *flags], name=name)


def metric(server, name):
    """The sum of a metric of the server itself."""
    text = http("GET", server.url + "/metrics")[2].decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(name + r"[ {]", line))


# ---- the parts ----

SIDE_RULES = """
groups:
  - name: side
    interval: 2s
    rules:
      - record: job:m:sum
        expr: sum by (job) (m)
      - alert: Plain
        expr: m > 1 and on() vector(time() / 100000) > {on} < {off}
        labels: {{severity: page, who: "{{{{ $labels.color }}}}"}}
        annotations:
          summary: "{{{{ $labels.color }}}} is {{{{ $value }}}} in {{{{ $externalLabels.region }}}}, {{{{ humanize 1234567.0 }}}}"
          asked: "{{{{ with query \\"job:m:sum\\" }}}}{{{{ . | first | value }}}}{{{{ end }}}} <a&b> \u00e9"
          broken: "{{{{ .Nothing.There }}}}"
          empty: ""
      - alert: Held
        expr: vector(time() / 100000) > {on} < {off}
        for: 4s
      - alert: Kept
        expr: vector(time() / 100000) > {on} < {off}
        keep_firing_for: 6s
      - alert: NeverLong
        expr: vector(time() / 100000) > {on} < {off}
        for: 1h
"""


INTERVAL_MS = 2000


def by_alert(alerts):
    """All that was sent of each alert, in order."""
    out = {}
    for alert in list(alerts):
        out.setdefault(json.dumps(alert["labels"], sort_keys=True), []).append(alert)
    return out


def compare_alert(key, mine, theirs, tolerance):
    for field in ("annotations", "generatorURL"):
        a, b = ({json.dumps(x.get(field), sort_keys=True).replace("Value float64", "Value interface {}") for x in group}
                for group in (mine, theirs))  # how 2.42 names a type in an error
        assert a == b, f"{key} {field}: {a} against {b}"
    assert {tuple(x) for x in mine} == {tuple(x) for x in theirs}, f"{key}: keys or their order: {mine[0]} against {theirs[0]}"
    for group in (mine, theirs):
        assert len({x["startsAt"] for x in group}) == 1, f"{key}: {group}"
        start, ends = when(group[0]["startsAt"]), [when(x["endsAt"]) for x in group]
        # While it fires, each sending puts the end four intervals ahead; then it stands where the alert was resolved.
        assert ends[0] == start + 4 * INTERVAL_MS, f"{key}: {start} {ends}"
        assert all((e - start) % INTERVAL_MS == 0 for e in ends), f"{key}: {start} {ends}"
        assert ends[-1] == ends[-2] < max(ends), f"{key}: {start} {ends}"
    for what in ("startsAt", "endsAt"):
        gap = abs(when(mine[-1][what]) - when(theirs[-1][what]))
        assert gap <= tolerance, f"{key} {what}: {gap} ms apart"


def side_by_side():
    """Narthex and Prometheus send the same alerts: labels, annotations, times, generatorURL."""
    prometheus, work = peer("prometheus"), workdir()
    exporter = Exporter({"/metrics": page('m{color="red"} 2\nm{color="blue"} 3.5\nm{color="none"} 1\n')})
    on = int(time.time()) + 8
    rules = write(os.path.join(work, "side.rules"), SIDE_RULES.format(on=on / 1e5, off=(on + 12) / 1e5))
    scrape = f"{{job_name: j, static_configs: [{{targets: ['127.0.0.1:{exporter.port}']}}]}}"
    takers, servers = {}, {}
    for name, program in (("narthex", NARTHEX), ("prometheus", prometheus)):
        takers[name] = FakeAlertmanager()
        more = "  alert_relabel_configs: [{action: labeldrop, regex: instance}]"
        servers[name] = start(work, name, config(static(takers[name].port), rules, scrape, more), program)
    time.sleep(max(0, on + 12 + 14 - time.time()))
    # 2.42 gives the group another slot than 3.14 does: times are then equal within an interval, not to the millisecond.
    exact = get_json(servers["prometheus"].url + "/api/v1/status/buildinfo")[1]["data"]["version"].partition(".")[0] != "2"
    tolerance = 0 if exact else INTERVAL_MS
    mine, theirs = (by_alert(takers[name].taken) for name in ("narthex", "prometheus"))
    assert mine.keys() == theirs.keys() and len(mine) == 4, (mine.keys(), theirs.keys())
    for key in mine:
        compare_alert(key, mine[key], theirs[key], tolerance)
    states = [{(r["name"], r["state"]) for r in s.data("rules")["groups"][0]["rules"] if r["type"] == "alerting"}
              for s in servers.values()]
    assert states[0] == states[1], states
    print("side by side:", {k: len(v) for k, v in mine.items()}, "to the millisecond" if exact else "within an interval")


FIRING = """
groups:
  - name: g
    interval: 1s
    rules:
      - {alert: Up, expr: "vector(1) > 0"}
      - {alert: Bad, expr: "label_replace(vector(1), 'kind', 'bad', '', '')"}
"""


def outages():
    """Two Alertmanagers, one of them dead, silent, slow or answering 400 or 500: the other gets everything in time."""
    work = workdir()
    rules = write(os.path.join(work, "g.rules"), FIRING)

    def silent(alerts):
        time.sleep(60)
        return 200

    def slow(alerts):
        time.sleep(3)
        return 200

    picky = lambda alerts: 400 if any(a["labels"].get("kind") == "bad" for a in alerts) else 200
    for name, behave in (("dead", None), ("silent", silent), ("slow", slow), ("500", lambda a: 500), ("400", lambda a: 400),
                         ("400 for some", picky)):
        good = FakeAlertmanager()
        port = free_port() if behave is None else FakeAlertmanager(behave).port
        picky_am = FakeAlertmanager(behave) if name == "400 for some" else None
        ports = (picky_am.port if picky_am else port, good.port)
        server = start(work, "outage-" + name.replace(" ", "-"), config(static(*ports, more=", timeout: 5s"), rules))
        wait_until(f"{name}: alerts at the good one", lambda: len(good.by_name("Up")) >= 3 and len(good.by_name("Bad")) >= 3,
                   process=server.process, timeout=20)
        starts = {a["startsAt"] for a in good.by_name("Up")}
        assert len(starts) == 1, starts
        # In time: an alert reaches it long before it would end by itself.
        for at, alerts, _, _ in list(good.posts):
            assert all(when(a["endsAt"]) > at * 1000 for a in alerts), (name, at, alerts)
        if picky_am:
            wait_until("the good alert at the one that refuses the bad one", lambda: picky_am.by_name("Up"), timeout=10)
            assert not picky_am.by_name("Bad")
        active = server.data("alertmanagers")["activeAlertmanagers"]
        assert len(active) == 2, active
        if name in ("dead", "500"):
            wait_until("errors counted", lambda: metric(server, "prometheus_notifications_errors_total") > 0, timeout=10)
        began = time.monotonic()
        server.stop()
        print(f"{name}: {len(good.taken)} alerts taken, stopped within {time.monotonic() - began:.1f} s")


def many():
    """10,000 alerts at once reach an Alertmanager, all of them, in batches."""
    work, nr = workdir(), 10000
    am = FakeAlertmanager()
    exporter = Exporter({"/metrics": page("".join(f'm{{n="{i}"}} 1\n' for i in range(nr)))})
    rules = write(os.path.join(work, "g.rules"),
                  "groups: [{name: g, rules: [{alert: Many, expr: 'm == 1', annotations: {n: '{{ $labels.n }}'}}]}]")
    scrape = f"{{job_name: j, static_configs: [{{targets: ['127.0.0.1:{exporter.port}']}}]}}"
    server = start(work, "many", config(static(am.port), rules, scrape, interval="5s"))
    wait_until("10,000 alerts", lambda: len({a["labels"]["n"] for a in list(am.taken)}) == nr, timeout=90, process=server.process)
    assert max(len(alerts) for _, alerts, _, _ in am.posts) <= 256
    assert metric(server, "prometheus_notifications_dropped_total") == 0
    assert all(a["annotations"]["n"] == a["labels"]["n"] for a in am.taken)
    status, answer = server.api("alerts")
    assert status == 200 and len(answer["data"]["alerts"]) == nr
    server.stop()


def realworld():
    """The rule files that people use load, and every rule evaluates."""
    directory = os.path.join(lib.CONFORMANCE, "rules/realworld")
    if not os.path.isdir(directory):
        skip("no shared cases: 0 real-world rule files")
    work = workdir()
    answers = [json.loads(line) for line in open(os.path.join(lib.CONFORMANCE, "rules/expected.jsonl"))]
    names = sorted({os.path.basename(a["file"]) for a in answers if a["file"].startswith("realworld/") and a["ok"]})
    for name in names:  # at the global interval, so that the test need not wait for minutes
        text = open(os.path.join(directory, name)).read()
        write(os.path.join(work, name), re.sub(r"(?m)^(\s*(- )?)interval:.*$", r"\1limit: 0", text))
    am = FakeAlertmanager()
    files = json.dumps([os.path.join(work, name) for name in names])
    server = start(work, "real", config(static(am.port), "", "{job_name: j}", interval="2s").replace('rule_files: [""]',
                                                                                                    "rule_files: " + files))

    def evaluated():
        rules = [r for g in server.data("rules")["groups"] for r in g["rules"]]
        return rules if rules and all(r["health"] != "unknown" for r in rules) else None

    rules = wait_until("all rules evaluated", evaluated, process=server.process, timeout=60)
    bad = [(r["name"], r["lastError"]) for r in rules if r["health"] != "ok"]
    assert not bad, bad
    files = {g["file"] for g in server.data("rules")["groups"]}
    assert len(files) == len(names), (files, names)
    print(f"realworld: {len(names)} of {len(names)} files, {len(rules)} rules evaluate")
    server.stop()


ALERTMANAGER = """
route: {receiver: hook, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname]}
receivers: [{name: hook, webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: true}]}]
"""


class Webhook(FakeAlertmanager):
    """The receiver behind Alertmanager; its pages are lists of alerts with a status."""

    def pages(self):
        return [(a["status"], when(a["startsAt"])) for page in list(self.posts) for a in page[1]["alerts"]]


def restart():
    """kill -9 while an alert fires: restarted in time nobody notices; restarted later, it is sent again at once as it was."""
    command, work = lib.alertmanager_command(), workdir()
    hook, tap, port = Webhook(), FakeAlertmanager(), free_port()
    path = write(os.path.join(work, "am.yml"), ALERTMANAGER % hook.port)
    am = Process([*command, f"--config.file={path}", f"--storage.path={work}/am", f"--web.listen-address=127.0.0.1:{port}",
                  "--cluster.listen-address="], os.path.join(work, "am.log"))
    wait_until("Alertmanager", lambda: http("GET", f"http://127.0.0.1:{port}/-/ready", timeout=5)[0] == 200, process=am)
    rules = write(os.path.join(work, "g.rules"), """
groups: [{name: g, interval: 1s, rules: [{alert: Fire, expr: 'vector(1) == 1', for: 2s, labels: {severity: page}},
                                         {alert: Later, expr: 'vector(1) == 1', for: 1h}]}]
""")
    text = config(static(port, tap.port), rules)
    server = start(work, "restart", text)
    wait_until("the page", lambda: hook.pages(), process=server.process, timeout=30)
    first = tap.by_name("Fire")[0]["startsAt"]
    time.sleep(1.5)  # a kill between sending and the end of the group's evaluation would cost the exact start
    later = [a["activeAt"] for a in server.data("alerts")["alerts"] if a["labels"]["alertname"] == "Later"]
    server.kill()

    server = start(work, "restart", text)  # before endsAt
    nr = len(tap.by_name("Fire"))
    wait_until("sent again", lambda: len(tap.by_name("Fire")) >= nr + 3, process=server.process, timeout=30)
    assert {a["startsAt"] for a in tap.by_name("Fire")} == {first}
    assert later == [a["activeAt"] for a in server.data("alerts")["alerts"] if a["labels"]["alertname"] == "Later"]
    time.sleep(3)
    assert hook.pages() == [("firing", when(first))], hook.pages()
    server.kill()

    wait_until("Alertmanager resolves it", lambda: hook.pages()[-1][0] == "resolved", timeout=40)
    nr, began = len(tap.by_name("Fire")), time.time()
    server = start(work, "restart", text)  # after endsAt
    wait_until("sent again", lambda: len(tap.by_name("Fire")) > nr, process=server.process, timeout=30)
    print(f"restart: sent again {tap.posts[-1][0] - began:.1f} s after the start of the process")
    assert {a["startsAt"] for a in tap.by_name("Fire")} == {first}
    wait_until("the page comes again", lambda: hook.pages()[-1][0] == "firing", timeout=30)

    write(rules, open(rules).read().replace("vector(1) == 1", "vector(0) == 1"))
    server.process.p.send_signal(1)
    wait_until("resolved", lambda: hook.pages()[-1][0] == "resolved", process=server.process, timeout=30)
    states = [state for state, _ in hook.pages()]
    assert states == ["firing", "resolved", "firing", "resolved"], hook.pages()
    server.stop()
    am.stop()


def discovery():
    """Alertmanagers from a file, which changes; over TLS with a CA of our own, with basic auth and with a token; a reload changes both."""
    work = workdir()
    cert, key = os.path.join(work, "cert.pem"), os.path.join(work, "key.pem")
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-out", cert, "-days", "2", "-subj", "/CN=am.test", "-addext", "subjectAltName=DNS:am.test"],
                       check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as e:
        skip(f"no openssl to make a certificate with: {e}")
    first, second = FakeAlertmanager(tls=(cert, key)), FakeAlertmanager(tls=(cert, key))
    rules = write(os.path.join(work, "g.rules"), FIRING)
    targets = os.path.join(work, "am.json")
    write(targets, json.dumps([{"targets": [f"127.0.0.1:{first.port}"], "labels": {"zone": "a"}},
                               {"targets": ["127.0.0.1:1"], "labels": {"zone": "drop"}}]))
    section = f"""
    - file_sd_configs: [{{files: ["{targets}"], refresh_interval: 1s}}]
      scheme: https
      path_prefix: /am
      tls_config: {{ca_file: "{cert}", server_name: am.test}}
      relabel_configs: [{{source_labels: [zone], regex: drop, action: drop}}]
      alert_relabel_configs: [{{target_label: via, replacement: tls}}]
      %s
"""
    text = config(section % "basic_auth: {username: u, password: p}", rules)
    server = start(work, "discovery", text)
    wait_until("alerts at the first", lambda: first.by_name("Up"), process=server.process, timeout=20)
    _, alerts, headers, path = first.posts[0]
    assert path == "/am/api/v2/alerts" and headers["Content-Type"] == "application/json", (path, headers)
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode(), headers
    assert all(a["labels"]["via"] == "tls" and a["labels"]["region"] == "eu" for a in alerts)
    view = server.data("alertmanagers")
    assert [a["url"] for a in view["activeAlertmanagers"]] == [f"https://127.0.0.1:{first.port}/am/api/v2/alerts"], view
    assert len(view["droppedAlertmanagers"]) == 1, view

    write(targets, json.dumps([{"targets": [f"127.0.0.1:{second.port}"]}]))
    wait_until("alerts at the second", lambda: second.by_name("Up"), process=server.process, timeout=30)
    nr = len(first.posts)
    write(os.path.join(work, "discovery.yml"), config(section % "authorization: {credentials: token}", rules))
    server.process.p.send_signal(1)
    wait_until("the token", lambda: second.posts[-1][2].get("Authorization") == "Bearer token", process=server.process, timeout=20)
    assert len(first.posts) == nr, "the first is gone from the file"
    server.stop()

    # A certificate that the CA did not sign is refused, and nothing is sent.
    text = text.replace(f'ca_file: "{cert}", ', "")
    write(targets, json.dumps([{"targets": [f"127.0.0.1:{first.port}"]}]))
    server = start(work, "distrust", text)
    wait_until("errors", lambda: metric(server, "prometheus_notifications_errors_total") > 0, process=server.process, timeout=20)
    assert len(first.posts) == nr
    server.stop()


def concurrent():
    """With concurrent-rule-eval every rule sees what it depends on at its own timestamp, and no iteration is missed."""
    work, nr = workdir(), 200
    text = ["groups:", "  - name: g", "    rules:"]
    text += [f"      - {{record: r{i}, expr: 'time() + {i} * vector(1)'}}" for i in range(nr)]
    text += [f"      - {{record: s{i}, expr: 'time() - r{i}'}}" for i in range(nr)]
    text += ["      - {record: total, expr: 'count({__name__=~\"s[0-9]+\"} <= 0)'}"]
    rules = write(os.path.join(work, "g.rules"), "\n".join(text) + "\n")
    server = start(work, "concurrent", config(static(free_port()), rules), flags=["--enable-feature=concurrent-rule-eval"])
    wait_until("all rules right", lambda: [r["value"][1] for r in server.query("total")] == [str(nr)], process=server.process,
               timeout=30)
    time.sleep(3)
    assert [r["value"][1] for r in server.query("min_over_time(total[3s:1s])")] == [str(nr)]
    bad = [r for r in server.data("rules")["groups"][0]["rules"] if r["health"] != "ok" or "evaluations" in r]
    assert not bad, bad[:3]
    shown = server.data("rules", narthex_evaluations="true")["groups"][0]["rules"]
    assert all(len(r["evaluations"]) >= 3 and r["evaluations"][0].keys() == {"time", "duration", "samples"} for r in shown), shown[0]
    assert all(e["samples"] == 1 for e in shown[-1]["evaluations"])
    server.stop()


PARTS = {f.__name__: f for f in (side_by_side, outages, many, restart, discovery, concurrent, realworld)}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
