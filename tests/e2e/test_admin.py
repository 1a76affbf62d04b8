"""The admin API over directories that Prometheus made: what was deleted is gone for Narthex and for Prometheus's own tool, the rest
is all there; also after a restart, after cleaning, and in a snapshot."""
import collections
import glob
import gzip
import json
import os
import re
import shutil
import subprocess
import urllib.parse

from lib import CONFORMANCE, NARTHEX, Server, http, peer, skip, workdir, write

CASES = ["clean", "killed", "blocks-levels", "tombstones", "wal-checkpoint", "wal-truncated", "wal-uncompressed"]
LINE = re.compile(r'^(\{.*\}) (\S+) (-?\d+)$')


def floats(lines):
    """(labels, value, time) of every line with a float; older tools do not print the others."""
    found = []
    for line in lines:
        m = LINE.match(line)
        if m and not m[2].endswith("}"):
            labels = re.sub(r'([{ ])"([^"\\]*)"=', r"\1\2=", m[1])  # older tools do not quote names
            found.append((labels, m[2], int(m[3])))
    return sorted(found)


def name_of(labels):
    m = re.search(r'__name__="((?:[^"\\]|\\.)*)"', labels)
    return m[1] if m else ""


def dump(promtool, directory):
    run = subprocess.run([promtool, "tsdb", "dump", '--match={__name__!~"h_.*"}', directory], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return floats(run.stdout.splitlines())


def expect_same(what, got, want):
    if got != want:
        a, b = collections.Counter(got), collections.Counter(want)
        raise AssertionError(f"{what}: {len(got)} of {len(want)}; too many {list(a - b)[:3]}, missing {list(b - a)[:3]}")


def post(server, path, want=204, **params):
    url = f"{server.url}/api/v1/admin/tsdb/{path}?" + urllib.parse.urlencode(params, doseq=True)
    status, _, body = http("POST", url, body=b"")
    assert status == want, (path, params, status, body)
    return json.loads(body) if body else None


def check_case(d, case, promtool):
    source = os.path.join(CONFORMANCE, "tsdb", case)
    with gzip.open(os.path.join(source, "dump.txt.gz"), "rt") as f:
        all_lines = floats(f)
    all_lines = [x for x in all_lines if not name_of(x[0]).startswith("h_")]
    names = [n for n, _ in collections.Counter(name_of(x[0]) for x in all_lines).most_common(2)]
    times = sorted(t for labels, _, t in all_lines if name_of(labels) == names[0])
    low, high = times[len(times) // 3], times[2 * len(times) // 3]
    left = [x for x in all_lines
            if not (name_of(x[0]) == names[0] and low <= x[2] <= high) and name_of(x[0]) != names[1]]
    assert len(left) < len(all_lines)

    data = f"{d}/{case}"
    shutil.copytree(os.path.join(source, "data"), data)
    start = lambda: Server(NARTHEX, f"{d}/prometheus.yml", data, ["--web.enable-admin-api", "--storage.tsdb.retention.time=100y"],
                           logdir=d)
    s = start()
    post(s, "delete_series", **{"match[]": f'{{__name__="{names[0]}"}}', "start": low / 1000, "end": high / 1000})
    post(s, "delete_series", **{"match[]": f'{{__name__="{names[1]}"}}'})
    at = max(x[2] for x in all_lines) / 1000
    assert not s.query(f'{{__name__="{names[1]}"}}[100y]', time=at)
    s.kill()
    expect_same(f"{case}: deleted", dump(promtool, data), left)

    s = start()
    snapshot = post(s, "snapshot", want=200)["data"]["name"]
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{16}", snapshot), snapshot
    os.mkdir(f"{data}/snapshots/{snapshot}/wal")  # promtool wants one, a snapshot (Prometheus's too) has none
    expect_same(f"{case}: snapshot", dump(promtool, f"{data}/snapshots/{snapshot}"), left)
    post(s, "clean_tombstones")
    for meta in glob.glob(f"{data}/*/meta.json"):
        with open(meta) as f:
            assert "numTombstones" not in json.load(f)["stats"], meta
    s.stop()
    expect_same(f"{case}: cleaned", dump(promtool, data), left)
    expect_same(f"{case}: the snapshot later", dump(promtool, f"{data}/snapshots/{snapshot}"), left)
    return len(all_lines) - len(left)


def check_answers(d):
    """Parameters and refusals."""
    s = Server(NARTHEX, f"{d}/prometheus.yml", f"{d}/off", logdir=d)
    for path in ("delete_series", "clean_tombstones", "snapshot"):
        assert post(s, path, want=500)["error"] == "admin APIs disabled"
    s.stop()
    s = Server(NARTHEX, f"{d}/prometheus.yml", f"{d}/on", ["--web.enable-admin-api"], logdir=d)
    refusals = [
        ("delete_series", {}, "no match[] parameter provided"),
        ("delete_series", {"match[]": "up[5m]"}, 'invalid parameter "match[]": 1:3: parse error: unexpected "["'),
        ("delete_series", {"match[]": "a", "start": "x"},
         "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp"),
        ("snapshot", {"skip_head": "x"},
         'invalid parameter "skip_head": unable to parse boolean: strconv.ParseBool: parsing "x": invalid syntax'),
    ]
    for path, params, error in refusals:
        answer = post(s, path, want=400, **params)
        assert answer == {"status": "error", "errorType": "bad_data", "error": error}, answer
    post(s, "delete_series", **{"match[]": '{a=""}'})
    post(s, "delete_series", **{"match[]": "up", "start": 10, "end": 5})
    post(s, "snapshot", want=200, skip_head="true")
    assert http("GET", s.url + "/api/v1/admin/tsdb/snapshot")[0] == 405
    s.stop()


def main():
    d = workdir()
    write(f"{d}/prometheus.yml", "scrape_configs: []\n")
    check_answers(d)
    promtool = os.environ.get("PROMTOOL") or peer("promtool")
    cases = [c for c in CASES if os.path.isdir(os.path.join(CONFORMANCE, "tsdb", c, "data"))]
    if not cases:
        skip(f"{len(CASES)} directories of Prometheus: not under {CONFORMANCE}")
    for case in cases:
        print(f"{case}: {check_case(d, case, promtool)} samples deleted")
    print(f"{len(cases)} of {len(CASES)} passed")


main()
