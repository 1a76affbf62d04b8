"""A real full file system (a small tmpfs) while scraping, recording and alerting: the alert keeps firing, queries answer, and
everything scraped meanwhile is there when space returns, and after a kill."""
import atexit
import os
import subprocess
import time

from exporter import Exporter, page
from lib import NARTHEX, Server, http, skip, wait_until, workdir, write

CONFIG = """
global: {{scrape_interval: 250ms, evaluation_interval: 250ms}}
rule_files: ["rules.yml"]
scrape_configs:
  - job_name: counted
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
RULES = """
groups:
  - name: full
    rules:
      - record: scrapes:recorded
        expr: scrapes_total
      - alert: Counting
        expr: scrapes_total > 0
        for: 1s
"""
FULL_SECONDS = 12
TMPFS_BYTES = 6 << 20


def small_disk(path):
    os.mkdir(path)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "none", path], capture_output=True)
    if mount.returncode != 0:
        skip("a tmpfs cannot be mounted here: " + mount.stderr.decode().strip())
    atexit.register(subprocess.run, ["umount", "-l", path], capture_output=True)


def fill(path):
    """Takes every byte of the file system that is free now; the server may just have given some back."""
    with open(path, "ab", buffering=0) as f:
        for size in (1 << 20, 1 << 16, 4096):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass


def metric(server, name):
    for line in http("GET", server.url + "/metrics")[2].decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"{name} is not in /metrics")


def firing(server):
    return [a for a in server.data("alerts")["alerts"] if a["state"] == "firing"]


def values(server, name):
    result = server.query(f"{name}[30m]")
    return [float(v) for _, v in result[0]["values"]] if result else []


def expect_no_gap(got, what):
    assert got and got == [got[0] + i for i in range(len(got))], f"{what}: {got}"


def main():
    d = workdir()
    small_disk(f"{d}/disk")
    scraped = [0]

    def answer():
        scraped[0] += 1
        # Some series come and go, so that new ones are made while the disk is full.
        churn = "".join(f'churn{{n="{scraped[0] // 4}",i="{i}"}} 1\n' for i in range(200))
        return page(f"scrapes_total {scraped[0]}\n" + churn)

    exporter = Exporter({"/metrics": answer})
    write(f"{d}/rules.yml", RULES)
    write(f"{d}/prometheus.yml", CONFIG.format(port=exporter.port))
    start = lambda: Server(NARTHEX, f"{d}/prometheus.yml", f"{d}/disk/data", logdir=d)
    s = start()
    active_at = wait_until("the alert", lambda: firing(s), process=s.process)[0]["activeAt"]

    fill(f"{d}/disk/ballast")
    wait_until("samples kept in memory", lambda: fill(f"{d}/disk/ballast") or metric(s, "narthex_wal_held_bytes") > 0,
               process=s.process)
    first_full = scraped[0]
    deadline = time.monotonic() + FULL_SECONDS
    while time.monotonic() < deadline:
        fill(f"{d}/disk/ballast")
        alerts = firing(s)
        assert len(alerts) == 1 and alerts[0]["activeAt"] == active_at, alerts
        assert s.query("up == 1"), "scrapes succeed"
        time.sleep(0.2)
    wait_until("still kept", lambda: fill(f"{d}/disk/ballast") or metric(s, "narthex_wal_held_bytes") > 0, process=s.process)
    last_full = scraped[0]
    assert last_full > first_full + 10
    expect_no_gap(values(s, "scrapes_total"), "while the disk is full")

    # What was only in memory goes with a kill; what had been written before does not, and a full disk is no reason not to start.
    s.kill()
    fill(f"{d}/disk/ballast")
    s = start()
    again = [v for v in values(s, "scrapes_total") if v <= last_full]
    expect_no_gap(again, "what was written before")
    assert again[0] == 1 and again[-1] < last_full, again
    wait_until("scrapes go on", lambda: values(s, "scrapes_total")[-1] > last_full + 3, process=s.process)
    wait_until("samples kept in memory", lambda: fill(f"{d}/disk/ballast") or metric(s, "narthex_wal_held_bytes") > 0,
               process=s.process)
    active_at = wait_until("the alert", lambda: firing(s), process=s.process)[0]["activeAt"]
    since_start = [v for v in values(s, "scrapes_total") if v > last_full]

    os.unlink(f"{d}/disk/ballast")
    wait_until("the WAL is written again", lambda: metric(s, "narthex_wal_held_bytes") == 0, process=s.process)
    assert firing(s)[0]["activeAt"] == active_at
    before = values(s, "scrapes_total")
    expect_no_gap([v for v in before if v >= since_start[0]], "after space returned")
    recorded = values(s, "scrapes:recorded")
    s.kill()

    s = start()
    after = values(s, "scrapes_total")
    assert after[:len(before)] == before, (len(after), len(before))
    assert values(s, "scrapes:recorded")[:len(recorded)] == recorded
    assert set(since_start) <= set(after)
    s.stop()
    with open(s.process.log, "rb") as f:
        said = f.read().decode("utf-8", "replace")
    assert "damaged" not in said, said
    print(f"{last_full - first_full} scrapes while the disk was full, {len(since_start)} more after a kill")


main()
