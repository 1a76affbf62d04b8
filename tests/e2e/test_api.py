"""The recorded requests of conformance/api/calls.jsonl against running servers, compared as its README (section 12) says."""
import collections
import http.client
import json
import os
import shutil
import sys
import time

from lib import CONFORMANCE, NARTHEX, Server, skip, workdir

# Texts that a library words (Go's strconv, YAML, snappy) are not compared.
LIBRARY_ERRORS = ("strconv.", "yaml:", "snappy:", "invalid syntax", "json:")
# What this slice does not have yet: (method, path prefix) -> why.
NOT_BUILT = {
    ("POST", "/api/v1/read"): "remote read comes after the core",
    ("GET", "/api/v1/read"): "remote read comes after the core",
    ("POST", "/api/v1/otlp"): "OTLP comes after the core",
    ("POST", "/api/v1/write"): "remote write comes after the core",
}


def number_eq(a, b):
    try:
        a, b = float(a), float(b)
    except (TypeError, ValueError):
        return False
    return a == b or (a != a and b != b) or abs(a - b) <= max(1e-9 * max(abs(a), abs(b)), 1e-12)


def sort_key(value):
    """Vectors, series and exemplars' series come in any order."""
    if isinstance(value, dict):
        for key in ("metric", "seriesLabels"):
            if key in value:
                return json.dumps(value[key], sort_keys=True)
        if "__name__" in value:
            return json.dumps(value, sort_keys=True)
    return None


def honest_features(want, got):
    """What is not built yet is false here, whatever Prometheus says of itself; the names must be all there."""
    want, got = want["data"], got["data"]
    if {c: sorted(v) for c, v in want.items()} != {c: sorted(v) for c, v in got.items()}:
        return differs({c: sorted(v) for c, v in want.items()}, {c: sorted(v) for c, v in got.items()}, set())
    return next((f"{c}.{n} is on" for c in want for n in want[c] if got[c][n] and not want[c][n]), None)


def unordered(values):
    keys = [sort_key(v) for v in values]
    return values if None in keys else [v for _, v in sorted(zip(keys, values), key=lambda p: p[0])]


def differs(want, got, ignore, path=""):
    """None, or where and how."""
    if isinstance(want, dict) and isinstance(got, dict):
        if want.keys() != got.keys():
            return f"{path}: keys {sorted(want)} against {sorted(got)}"
        for key in want:
            if key in ignore:
                if type(want[key]) is not type(got[key]) and not (number_eq(want[key], want[key]) and number_eq(got[key], got[key])):
                    return f"{path}.{key}: another type: {want[key]!r} against {got[key]!r}"
                continue
            if key == "error" and any(t in str(want[key]) for t in LIBRARY_ERRORS):
                continue
            bad = differs(want[key], got[key], ignore, f"{path}.{key}")
            if bad:
                return bad
        return None
    if isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            return f"{path}: {len(want)} elements against {len(got)}"
        for i, (a, b) in enumerate(zip(unordered(want), unordered(got))):
            bad = differs(a, b, ignore, f"{path}[{i}]")
            if bad:
                return bad
        return None
    if want == got or (isinstance(want, str) and isinstance(got, str) and number_eq(want, got)) or (
            isinstance(want, (int, float)) and isinstance(got, (int, float)) and number_eq(want, got)):
        return None
    return f"{path}: {want!r} against {got!r}"


def shape(value):
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def send(server, call):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = call.get("body")
    connection.request(call["method"], call["path"], body=body.encode() if body is not None else None,
                       headers=call.get("request_headers") or {})
    answer = connection.getresponse()
    content = answer.read()
    headers = collections.defaultdict(list)
    for name, value in answer.getheaders():
        headers[name.lower()].append(value)
    connection.close()
    return answer.status, headers, content


def check(server, call):
    status, headers, content = send(server, call)
    text = content.decode("utf-8", "replace")
    if status != call["status"]:
        return f"status {call['status']} against {status}: {text[:200]}"
    for name, value in call["headers"].items():
        # Of a header that came more than once (Vary) the recording holds one line.
        if value not in headers.get(name, []) and value != ", ".join(headers.get(name, [])):
            return f"header {name}: {value!r} against {headers.get(name)!r}"
    if "json" not in call:
        return None if text == call["text"] else f"text {call['text'][:200]!r} against {text[:200]!r}"
    try:
        got = json.loads(content)
    except ValueError:
        return f"not JSON: {text[:200]!r}"
    if call["path"] == "/api/v1/features":
        return honest_features(call["json"], got)
    if call.get("shape_only"):
        return differs(shape(call["json"]), shape(got), set())
    return differs(call["json"], got, set(call.get("ignore") or []))


def start(name, d):
    if name == "self":
        # The recorded answers hold this address.
        for f in ("self.yml", "self-rules.yml"):
            shutil.copy(f"{CONFORMANCE}/api/{f}", d)
        import lib
        lib.free_port = lambda: 19540
        os.chdir(d)
        server = Server(NARTHEX, "self.yml", "self-data", ["--web.external-url=http://example.org:9090/", "--web.route-prefix=/"],
                        logdir=d)
        time.sleep(6)
        return server
    source = f"{CONFORMANCE}/answers/data" if name == "data" else f"{CONFORMANCE}/tsdb/wal-exemplars-metadata/data"
    shutil.copytree(source, f"{d}/{name}-data")
    with open(f"{d}/empty.yml", "w") as f:
        f.write("global: {scrape_interval: 1h}\n")
    flags = ["--storage.tsdb.retention.time=100y"]
    if name == "exemplars":
        flags.append("--enable-feature=exemplar-storage")
    return Server(NARTHEX, f"{d}/empty.yml", f"{d}/{name}-data", flags, logdir=d)


def main():
    calls_path = f"{CONFORMANCE}/api/calls.jsonl"
    if not os.path.exists(calls_path):
        skip(f"no shared cases at {CONFORMANCE}")
    with open(calls_path) as f:
        calls = [json.loads(line) for line in f]
    d = os.path.realpath(workdir())
    passed, failed, left_out = 0, [], collections.Counter()
    for name in ("data", "exemplars", "self"):
        server = start(name, d)
        for call in calls:
            if call["server"] != name:
                continue
            why = next((why for (method, path), why in NOT_BUILT.items()
                        if call["method"] == method and call["path"].startswith(path)), None)
            if why:
                left_out[why] += 1
                continue
            try:
                bad = check(server, call)
            except OSError as e:
                raise AssertionError(f"call {call['id']} {call['method']} {call['path']}: {e}\n{server.process.tail()}")
            if bad:
                failed.append(f"{call['id']} {call['method']} {call['path'][:100]}: {bad}")
            else:
                passed += 1
        assert server.stop() == 0
    for line in failed:
        print(line)
    for why, nr in left_out.items():
        print(f"{nr} calls left out: {why}")
    print(f"{passed} of {passed + len(failed)} recorded calls answered alike")
    sys.exit(1 if failed else 0)


main()
