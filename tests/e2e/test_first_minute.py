"""A new user's first minute, with real processes: self-scrape, a target added by file while running, an alert to Alertmanager."""
import json
import os

from lib import (NARTHEX, Process, Server, alertmanager_command, free_port, http, peer, wait_until, workdir, write)

CONFIG = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
  external_labels: {{site: e2e}}
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{am}"]}}]
rule_files: ["rules.yml"]
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["127.0.0.1:{self}"]}}]
  - job_name: files
    file_sd_configs: [{{files: ["targets/*.yml"], refresh_interval: 1s}}]
"""
RULES = """
groups:
  - name: example
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: TargetDown
        expr: up == 0
        labels: {severity: page}
        annotations: {summary: "{{ $labels.instance }} is down, up is {{ $value | humanize }}"}
"""
AM_CONFIG = """
route: {receiver: none, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: none}]
"""


def main():
    alertmanager, node_exporter = alertmanager_command(), peer("node_exporter")
    d = workdir()
    os.mkdir(f"{d}/targets")
    am_port, node_port = free_port(), free_port()
    write(f"{d}/rules.yml", RULES)
    write(f"{d}/am.yml", AM_CONFIG)
    am = Process([*alertmanager, f"--config.file={d}/am.yml", f"--storage.path={d}/am", "--cluster.listen-address=",
                  f"--web.listen-address=127.0.0.1:{am_port}"], f"{d}/am.log")
    am_url = f"http://127.0.0.1:{am_port}"
    wait_until("alertmanager", lambda: http("GET", am_url + "/-/ready")[0] == 200, process=am)

    # The server scrapes itself, so its port must be known before its configuration is written.
    write(f"{d}/prometheus.yml", CONFIG.format(am=am_port, self=1))
    s = Server(NARTHEX, f"{d}/prometheus.yml", f"{d}/data", ["--web.enable-lifecycle"], logdir=d)
    write(f"{d}/prometheus.yml", CONFIG.format(am=am_port, self=s.port))
    assert http("POST", s.url + "/-/reload")[0] == 200

    wait_until("up is 1", lambda: [r for r in s.query("up{job='prometheus'} == 1")], process=s.process)
    rate = wait_until("a rate", lambda: s.query("rate(prometheus_http_requests_total[1m])"), process=s.process)
    assert all(r["metric"].get("handler") for r in rate), rate
    wait_until("the recorded series", lambda: s.query("job:up:sum{job='prometheus'} == 1"), process=s.process)

    def start_node():
        return Process([node_exporter, f"--web.listen-address=127.0.0.1:{node_port}", "--collector.disable-defaults",
                        "--collector.loadavg", "--collector.uname"], f"{d}/node.log")

    node = start_node()
    write(f"{d}/targets/node.yml", json.dumps([{"targets": [f"127.0.0.1:{node_port}"], "labels": {"env": "test"}}]))
    up = wait_until("node_exporter up", lambda: s.query("up{job='files', env='test'} == 1"), process=s.process)
    assert up[0]["metric"]["instance"] == f"127.0.0.1:{node_port}"
    assert s.query("node_load1"), "node_exporter's own series"

    def alerts(state):
        status, _, body = http("GET", am_url + "/api/v2/alerts?filter=alertname=TargetDown")
        return [a for a in json.loads(body) if a["status"]["state"] == state]

    assert not alerts("active"), "nothing is down yet"
    node.stop()
    down = wait_until("the alert in Alertmanager", lambda: alerts("active"), process=s.process)[0]
    assert down["labels"] == {"alertname": "TargetDown", "env": "test", "instance": f"127.0.0.1:{node_port}",
                              "job": "files", "severity": "page", "site": "e2e"}, down["labels"]
    assert down["annotations"] == {"summary": f"127.0.0.1:{node_port} is down, up is 0"}, down["annotations"]
    assert down["generatorURL"].endswith("/graph?g0.expr=up+%3D%3D+0&g0.tab=1"), down["generatorURL"]
    firing = s.query('ALERTS{alertname="TargetDown", alertstate="firing"}')
    assert len(firing) == 1 and firing[0]["value"][1] == "1", firing

    node = start_node()
    wait_until("the alert resolved", lambda: not alerts("active"), process=s.process)
    node.stop()

    # A bad file keeps the old configuration and says why.
    write(f"{d}/prometheus.yml", "global: {scrape_intervall: 1s}\n")
    status, _, body = http("POST", s.url + "/-/reload")
    assert status == 500 and b"scrape_intervall" in body, body
    assert s.query("up{job='prometheus'}")
    assert s.stop() == 0, "SIGTERM ends it with status 0"
    am.stop()


main()
