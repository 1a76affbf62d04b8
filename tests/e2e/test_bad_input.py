"""Clients that send what they should not: each is told so in words, and the server goes on answering the others."""
import json
import os
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse

from lib import NARTHEX, Server, get_json, http, wait_until, workdir, write

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Raw:
    """One connection, byte by byte."""

    def __init__(self, s, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", s.port), timeout=timeout)
        self.got = b""

    def send(self, data):
        try:
            self.sock.sendall(data if isinstance(data, bytes) else data.encode())
        except OSError:  # it may have answered and closed already
            pass
        return self

    def answer(self):
        """(status, body) of the next answer; None when the connection was closed without one."""
        while b"\r\n\r\n" not in self.got:
            if not self._more():
                return None
        head, _, rest = self.got.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        n = int(length[1]) if length else 0
        self.got = rest
        while len(self.got) < n and self._more():
            pass
        body, self.got = self.got[:n], self.got[n:]
        return status, body

    def closed(self):
        """True when the other side closes."""
        while self._more():
            pass
        return True

    def _more(self):
        try:
            part = self.sock.recv(65536)
        except ConnectionError:
            part = b""
        self.got += part
        return part != b""

    def close(self):
        self.sock.close()


def ready(s, within=5):
    began = time.monotonic()
    status, _, _ = http("GET", s.url + "/-/ready", timeout=within)
    assert status == 200, status
    return time.monotonic() - began


def form(s, path, /, **params):
    status, _, body = http("POST", f"{s.url}/api/v1/{path}", urllib.parse.urlencode(params).encode(), FORM, 60)
    try:
        return status, json.loads(body)
    except ValueError:
        return status, {"error": body.decode("utf-8", "replace"), "errorType": None}


# (what, path, parameters, status, errorType, what the error matches)
QUERIES = [
    ("100,000 parentheses", "query", {"query": "(" * 100000 + "1" + ")" * 100000}, 400, "bad_data", r"nest|deep"),
    ("100,000 open parentheses", "query", {"query": "(" * 100000}, 400, "bad_data", r"nest|deep|unclosed|unexpected"),
    ("100,000 minus signs", "query", {"query": "-" * 100000 + "1"}, 400, "bad_data", r"nest|deep"),
    ("100,000 nested calls", "query", {"query": "abs(" * 100000 + "up" + ")" * 100000}, 400, "bad_data", r"nest|deep"),
    ("100,000 nested sums", "query", {"query": "sum(" * 100000 + "up" + ")" * 100000}, 400, "bad_data", r"nest|deep"),
    ("100,000 brackets", "query", {"query": "up" + "[1m:1s]" * 100000}, 400, "bad_data", r"."),
    ("100,000 braces", "query", {"query": "{" * 100000}, 400, "bad_data", r"unexpected"),
    ("an unclosed string", "query", {"query": '"' + "x" * 100000}, 400, "bad_data", r"unterminated quoted string"),
    ("not UTF-8", "query", {"query": b"\xff\xfe"}, 400, "bad_data", r"."),
    ("not UTF-8 in a string", "query", {"query": b'up{a="\xff"}'}, 400, "bad_data", r"."),
    ("a NUL", "query", {"query": "up\0"}, 400, "bad_data", r"unexpected"),
    ("no query", "query", {}, 400, "bad_data", r"no expression found in input"),
    ("a bad time", "query", {"query": "up", "time": "yesterday"}, 400, "bad_data", r"invalid parameter \"time\".*cannot parse \"yesterday\""),
    ("a bad timeout", "query", {"query": "up", "timeout": "soon"}, 400, "bad_data", r"invalid parameter \"timeout\""),
    ("step 0", "query_range", {"query": "up", "start": 1, "end": 2, "step": 0}, 400, "bad_data",
     r"invalid parameter \"step\": zero or negative query resolution step widths are not accepted"),
    ("step below 0", "query_range", {"query": "up", "start": 1, "end": 2, "step": -1}, 400, "bad_data", r"zero or negative query resolution"),
    ("step NaN", "query_range", {"query": "up", "start": 1, "end": 2, "step": "NaN"}, 400, "bad_data", r"invalid parameter \"step\""),
    ("step 1e300", "query_range", {"query": "up", "start": 1, "end": 2, "step": "1e300"}, 400, "bad_data", r"overflows"),
    ("end before start", "query_range", {"query": "up", "start": 2, "end": 1, "step": 1}, 400, "bad_data",
     r"end timestamp must not be before start time"),
    ("too many points", "query_range", {"query": "up", "start": 0, "end": 11002, "step": 1}, 400, "bad_data",
     r"exceeded maximum resolution of 11,000 points per timeseries"),
    ("a range for a range query", "query_range", {"query": "up[1m]", "start": 1, "end": 2, "step": 1}, 400, "bad_data",
     r"invalid expression type \"range vector\" for range query"),
    ("many samples", "query", {"query": "count_over_time(up[300d:1ms])"}, 422, "execution",
     r"query processing would load too many samples into memory"),
    ("a bad regular expression", "query", {"query": 'up{a=~"(((("}'}, 400, "bad_data", r"error parsing regexp: missing closing \)"),
    ("a huge repetition", "query", {"query": 'up{a=~"((a{100}){100}){100}"}'}, 400, "bad_data", r"error parsing regexp: "),
    ("a range of 0", "query", {"query": "rate(up[0s])"}, 400, "bad_data", r"duration must be greater than 0"),
    ("many to many", "query", {"query": "scrape_samples_scraped + on() {__name__=~'prometheus_.*'}"}, 422, "execution", r"many-to-many|multiple matches"),
    ("a matcher of everything", "query", {"query": '{a=~".*"}'}, 400, "bad_data", r"must contain at least one non-empty matcher"),
    ("series without match[]", "series", {}, 400, "bad_data", r"no match\[\] parameter provided"),
    ("series with a bad limit", "series", {"match[]": "up", "limit": -1}, 400, "bad_data", r"limit must be non-negative"),
]


def check_queries(s):
    bad = []
    for what, path, params, want_status, want_type, want in QUERIES:
        status, answer = form(s, path, **params)
        error = answer.get("error", "")
        if not ((status, answer.get("errorType")) == (want_status, want_type) and re.search(want, error) and len(error) < 300000):
            bad.append(f"{what}: {status} {answer.get('errorType')} {error[:300]}")
        ready(s)
    assert not bad, "\n".join(bad)
    print(f"{len(QUERIES)} bad queries refused in words")


def check_odd_but_good(s):
    """What looks bad and is not."""
    deep = "(" * 500 + "1" + ")" * 500
    assert form(s, "query", query=deep)[0] == 200
    status, answer = form(s, "query", query="+".join(["1"] * 1500))
    assert status == 200 and answer["data"]["result"][1] == "1500", str(answer)[:300]
    # Linear time, whatever the expression: the classic of catastrophic backtracking on long values.
    value = "a" * 30000 + "!"
    for regex in ("(a+)+$", "(a|a)*b", "(.*.*)*x", "(a*)*(a*)*c"):
        began = time.monotonic()
        expr = f'label_replace(vector(1), "a", "{value}", "", "") and on(a) label_replace(label_replace(vector(1), "a", "{value}", "", ""), "b", "$1", "a", "{regex}")'
        status, answer = form(s, "query", query=expr)
        assert status == 200, answer
        assert form(s, "query", query=f'{{__name__=~"{regex}"}}')[0] == 200
        assert time.monotonic() - began < 20, regex
    for t in ("-9223372036854775.808", "9223372036854775.807", "253402300800", "1e10", "-62135596801"):
        status, answer = form(s, "query", query="count_over_time({__name__!=''}[1h])", time=t)
        assert status in (200, 400) and answer["status"] in ("success", "error"), (t, status, answer)
    ready(s)


def check_bodies(s):
    """Bodies over the limit are refused, also those whose length is not told."""
    chunk = b"x" * (1 << 20)
    for path in ("query", "query_range", "series"):
        r = Raw(s, timeout=60)
        r.send(f"POST /api/v1/{path} HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM['Content-Type']}\r\nContent-Length: {100 << 20}\r\n\r\nquery=")
        for _ in range(100):
            r.send(chunk)
        answer = r.answer()
        assert answer is None or answer[0] == 413 and b"too large" in answer[1], answer
        r.close()
    # Told in time, before any of it is sent.
    r = Raw(s).send(f"POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM['Content-Type']}\r\nContent-Length: {100 << 20}\r\n\r\n")
    answer = r.answer()
    assert answer and answer[0] == 413 and b"request body too large" in answer[1], answer
    r.close()
    r = Raw(s, timeout=60)
    r.send(f"POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM['Content-Type']}\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(20):
        r.send(b"100000\r\n" + chunk + b"\r\n")
    answer = r.send(b"0\r\n\r\n").answer()
    assert answer is None or answer[0] == 413, answer
    r.close()
    with open(f"/proc/{s.process.p.pid}/status") as f:
        peak_mb = int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024
    print(f"100 MB bodies refused, at most {peak_mb:.0f} MB resident")
    ready(s)


def check_framing(s):
    """Requests whose end two parsers could see differently are refused, and the connection is not used again."""
    head = f"POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM['Content-Type']}\r\n"
    smuggled = "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
    bad = []
    for what, request in (
            ("both lengths", head + "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nquery=1\r\n0\r\n\r\n"),
            ("white space in a name", head + "Content-Length : 7\r\n\r\nquery=1"),
            ("a folded header", head + "X-A: 1\r\n folded: 2\r\nContent-Length : 7\r\n\r\nquery=1"),
            ("two lengths", head + "Content-Length: 7\r\nContent-Length: 8\r\n\r\nquery=1 "),
            ("a negative length", head + "Content-Length: -1\r\n\r\n"),
            ("a length with a sign", head + "Content-Length: +7\r\n\r\nquery=1"),
            ("a huge length", head + "Content-Length: 99999999999999999999999\r\n\r\n"),
            ("a bad chunk size", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            ("another encoding", head + "Transfer-Encoding: gzip\r\n\r\nquery=1"),
            ("no host", "GET /-/ready HTTP/1.1\r\n\r\n"),
            ("a control character in a header", "GET /-/ready HTTP/1.1\r\nHost: a\r\nX-A: 1\0012\r\n\r\n"),
            ("no version", "GET /-/ready\r\n\r\n"),
            ("nonsense", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")):
        r = Raw(s).send(request.encode("latin-1"))
        r.sock.settimeout(15)
        try:
            answer = r.answer()
        except TimeoutError:
            bad.append(f"{what}: no answer")
            continue
        if answer is not None and answer[0] not in (400, 413, 431, 501, 505):
            bad.append(f"{what}: {answer}")
        r.send(smuggled)
        try:
            if not r.closed() or b" 200 " in r.got:
                bad.append(f"{what}: the connection is used again: {r.got}")
        except TimeoutError:
            bad.append(f"{what}: the connection stays open")
        r.close()
        ready(s)
    assert not bad, "\n".join(bad)
    r = Raw(s).send("GET /-/ready HTTP/1.1\r\nHost: a\r\nX-Long: " + "x" * (4 << 20) + "\r\n\r\n")
    answer = r.answer()
    assert answer is None or answer[0] in (400, 413, 431, 500), answer
    r.close()
    # Long queries come by GET.
    query = urllib.parse.quote('up{instance=~"' + "|".join(f"host-{i}" for i in range(3000)) + '"}')
    assert get_json(f"{s.url}/api/v1/query?query={query}")[0] == 200, f"a GET of {len(query)} bytes"
    r = Raw(s).send(smuggled * 50)
    for _ in range(50):
        status, body = r.answer()
        assert status == 200 and b"Healthy" in body
    r.send("GET /api/v1/query?query=up HTTP/1.1\r\nHost: a\r\n\r\nGET /api/v1/query?query=1%2B HTTP/1.1\r\nHost: a\r\n\r\n" + smuggled)
    assert [r.answer()[0] for _ in range(3)] == [200, 400, 200], "pipelined answers come in order"
    r.close()


def connections_of(s, text, nr):
    out = []
    for _ in range(nr):
        r = Raw(s)
        out.append(r.send(text))
    return out


def check_slow_clients(s):
    """More slow sockets than there are slots: without a word, within the headers, within a body."""
    post = f"POST /api/v1/query HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM['Content-Type']}\r\nContent-Length: 1000\r\n\r\nquery="
    for what, text in (("silent connections", ""), ("half a request line", "GET /-/rea"), ("half a header", "GET /-/ready HTTP/1.1\r\nX-A: "),
                       ("slow bodies", post)):
        slow = connections_of(s, text, 700)
        worst = 0.0
        for i in range(20):
            for r in slow[:: 50]:
                r.send("x")
            worst = max(worst, ready(s))
        s.query("up")
        print(f"700 {what}: ready within {worst * 1000:.0f} ms")
        for r in slow:
            r.close()
    # A complete header must come within ten seconds, however busy the socket is.
    r = Raw(s, timeout=60).send("GET /-/ready HTTP/1.1\r\n")
    began, i = time.monotonic(), 0
    r.sock.settimeout(0.5)
    while time.monotonic() - began < 30:
        try:
            if not r._more():
                break
        except TimeoutError:
            pass
        r.send(f"X-{i}: 1\r\n")
        i += 1
    assert time.monotonic() - began < 25, "the header's time is limited"


def wait_counter(s, name, least, timeout=20):
    def look():
        text = http("GET", s.url + "/metrics")[2].decode()
        m = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)", text, re.M)
        assert m, f"{name} is not in /metrics"
        return float(m[1]) >= least
    wait_until(f"{name} >= {least}", look, timeout=timeout, process=s.process)


def long_query(**extra):
    """A query that loads few samples and still takes long: subqueries of functions of time alone."""
    inner = "quantile_over_time(0.9, sum_over_time(rate(prometheus_http_requests_total[10m])[3h:250ms])[3h:250ms])"
    return urllib.parse.urlencode({"query": f"max({inner})", **extra})


def active_queries(s):
    text = http("GET", s.url + "/metrics")[2].decode()
    m = re.search(r"^prometheus_engine_queries (\S+)", text, re.M)
    assert m, "prometheus_engine_queries"
    return float(m[1])


def check_hang_up(s):
    """A client that goes away takes its query along."""
    before = active_queries(s)
    clients = [Raw(s).send(f"GET /api/v1/query?{long_query()} HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(6)]
    wait_until("queries to run", lambda: active_queries(s) > before, timeout=20, process=s.process)
    for r in clients:
        r.close()
    wait_until("abandoned queries to end", lambda: active_queries(s) <= before, timeout=20, process=s.process)
    ready(s)


def check_busy(s):
    """As many long queries as there are CPUs, and more: short ones, status and scraping go on."""
    clients = [Raw(s).send(f"GET /api/v1/query?{long_query()} HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(8)]
    wait_until("queries to run", lambda: active_queries(s) >= 8, process=s.process)
    for what in ("/metrics", "/api/v1/targets", "/api/v1/rules", "/api/v1/status/tsdb", "/api/v1/query?query=count(up)",
                 "/api/v1/query_range?query=sum(up)&start=0&end=1000&step=10", "/api/v1/label/job/values"):
        began = time.monotonic()
        assert http("GET", s.url + what, timeout=20)[0] == 200, what
        print(f"{what.split('?')[0]} beside 8 long queries: {(time.monotonic() - began) * 1000:.0f} ms")
    assert http("POST", s.url + "/-/reload", timeout=20)[0] == 200
    for r in clients:
        r.close()
    wait_until("abandoned queries to end", lambda: active_queries(s) == 0, timeout=20, process=s.process)


def check_timeout(s):
    query = urllib.parse.parse_qs(long_query())["query"][0]
    status, answer = get_json(f"{s.url}/api/v1/query?" + urllib.parse.urlencode({"query": query, "timeout": "1ms"}))
    assert status in (503, 422) and re.search(r"query timed out in|too many samples", answer["error"]), (status, answer)


def main():
    d = workdir()
    config = write(f"{d}/prometheus.yml", CONFIG.format(port=1))
    s = Server(NARTHEX, config, f"{d}/data", ["--web.enable-lifecycle"], logdir=d)
    write(config, CONFIG.format(port=s.port))
    assert http("POST", s.url + "/-/reload")[0] == 200
    wait_until("own samples", lambda: s.query("up == 1"), process=s.process)
    began = time.time()
    checks = [check_queries, check_odd_but_good, check_bodies, check_framing, check_slow_clients, check_busy, check_hang_up, check_timeout]
    wanted = set(sys.argv[1:])
    for check in checks:
        if not wanted or check.__name__ in wanted:
            t = time.monotonic()
            check(s)
            print(f"{check.__name__}: {time.monotonic() - t:.1f} s")
    span = time.time() - began
    # Not the target of the configuration before the reload, which may have been scraped once, in vain.
    own = f'up{{instance="127.0.0.1:{s.port}"}}'
    samples = float(s.query(f"count_over_time({own}[{int(span) + 1}s])")[0]["value"][1])
    failed = s.query(f"count_over_time(({own} == 0)[1h:1s])")
    print(f"{samples:.0f} samples of {span:.0f} s, {failed[0]['value'][1] if failed else 0} of its own scrapes failed")
    assert samples >= span * 0.8 - 3, "scraping went on all the while"
    assert s.stop() == 0
    log = s.process.tail(1 << 22)
    assert "Sanitizer" not in log and "runtime error" not in log, log[-6000:]


main()
