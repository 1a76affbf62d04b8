"""Targets that send what they should not. Each is down with a clear error (or loses just the bad samples), and costs nobody else anything."""
import glob
import gzip
import json
import os
import re
import struct
import sys
import time
import zlib

import exporter
from exporter import OPENMETRICS, TEXT, Exporter, page
from lib import CONFORMANCE, NARTHEX, Server, http, wait_until, workdir, write

PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
YEAR_2098 = 4039372800000


def gzipped(body, **kw):
    return page(gzip.compress(body), headers=["Content-Encoding: gzip"], **kw)


def bomb():
    """200 MB of one comment in 200 kB."""
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    line = b"# " + b"x" * 998 + b"\n"
    return z.compress(line * 1000) + b"".join(z.compress(line * 1000) for _ in range(200)) + z.flush()


# name -> (page, what lastError must match; None: the target is up)
PAGES = {
    "not_metrics": (page("<html><body>hello</body></html>"), r"expected a valid start token|invalid"),
    "no_value": (page("a_metric\n"), r"expected value after metric"),
    "bad_value": (page("a_metric 1_000\n"), r"1_000|unsupported character"),
    "go_hex_value": (page("a_metric 0x1p3\n"), r"0x1p3|unsupported character"),
    "label_unclosed": (page('a_metric{a="b\n'), r"expected label value|invalid|expected"),
    "label_no_quotes": (page("a_metric{a=b} 1\n"), r"expected label value"),
    "label_twice": (page('a_metric{a="1",a="2"} 1\n'), r"label name \"?a\"? is not unique"),
    "bad_timestamp": (page("a_metric 1 12x\n"), r"expected next entry after timestamp|invalid"),
    "text_negative_time": (page("a_metric 1 -1000\n"), r"expected timestamp or new record, got \"-\""),
    "nul_in_name": (page(b"a_met\x00ric 1\n"), r"expected|invalid"),
    "bytes_ff": (page(b"\xff\xfe\xfd 1\n"), r"invalid|expected"),
    "value_not_utf8": (page(b'a_metric{a="\xff\xc3\x28"} 1\n'), r"invalid UTF-8 label value"),
    "name_not_utf8": (page(b'{"a_\xff"} 1\n'), r"invalid"),
    "om_without_eof": (page("a_metric 1\n", OPENMETRICS), r"data does not end with # EOF"),
    "om_after_eof": (page("a_metric 1\n# EOF\nb_metric 2\n", OPENMETRICS), r"unexpected data after # EOF"),
    "wrong_content_type": (page("a_metric 1\n", "application/json"), r"received unsupported Content-Type|Content-Type"),
    "protobuf_garbage": (page(b"\xff" * 64, PROTOBUF), r"varint|protobuf|clientpb"),
    "protobuf_huge_length": (page(b"\xff\xff\xff\xff\x0f" + b"x" * 100, PROTOBUF), r"clientpb|protobuf"),
    "half_good": (page("half_good_sample 1\nhalf bad sample 2\n"), r"expected|invalid"),
    "status_500": (page("out of order", status="500 Internal Server Error"), r"^server returned HTTP status 500 Internal Server Error$"),
    "status_404": (page("gone", status="404 Not Found"), r"^server returned HTTP status 404 Not Found$"),
    "redirect_loop": (page("", status="302 Found", headers=["Location: /redirect_loop"]), r"stopped after 10 redirects"),
    "gzip_not_gzip": (page("a_metric 1\n", headers=["Content-Encoding: gzip"]), r"gzip: invalid header"),
    "gzip_cut": (page(gzip.compress(b"a_metric 1\n" * 1000)[:-12], headers=["Content-Encoding: gzip"]), r"unexpected EOF|gzip"),
    "gzip_bad_crc": (page(gzip.compress(b"a_metric 1\n")[:-8] + b"\0" * 8, headers=["Content-Encoding: gzip"]), r"gzip: invalid checksum"),
    "gzip_bomb": (page(bomb(), headers=["Content-Encoding: gzip"]), r"^body size limit exceeded$"),
    "oversized": (page("# " + "x" * 3000000 + "\n"), r"^body size limit exceeded$"),
    "many_samples": (page("".join(f"many{{n=\"{i}\"}} 1\n" for i in range(5001))), r"^sample limit exceeded$"),
    "many_labels": (page("a_metric{" + ",".join(f'l{i}="1"' for i in range(60)) + "} 1\n"), r"label_limit exceeded"),
    "long_label_name": (page("a_metric{" + "n" * 1001 + '="1"} 1\n'), r"label_name_length_limit exceeded"),
    "long_label_value": (page('a_metric{a="' + "v" * 10001 + '"} 1\n'), r"label_value_length_limit exceeded"),
    "silent": (exporter.silent, r"context deadline exceeded"),
    "drip": (exporter.drip, r"context deadline exceeded"),
    "drip_header": (exporter.drip_header, r"context deadline exceeded"),
    "endless": (exporter.endless, r"body size limit exceeded|context deadline exceeded"),
    "endless_line": (exporter.endless_line, r"body size limit exceeded|context deadline exceeded"),
    "endless_header": (exporter.endless_header, r"."),
    "cut": (exporter.cut, r"unexpected EOF"),
    "cut_chunked": (exporter.cut_chunked, r"unexpected EOF"),
    "garbage": (exporter.garbage, r"malformed HTTP"),
    "hang_up": (exporter.hang_up, r"EOF"),
    # What costs single samples and not the page.
    "empty": (page(""), None),
    "duplicates": (page("dup_metric 1\ndup_metric 2\ndup_metric 1\nafter_dup 3\n"), None),
    "year_2098": (page(f"far_metric 1 {YEAR_2098}\nafter_far 3\n"), None),
    "negative_time": (page("early_metric 1 -62135596800\nafter_early 3\n# EOF\n", OPENMETRICS), None),
    "time_max": (page(f"max_metric 1 {2**63 - 1}\nafter_max 3\n"), None),
    "time_min": (page(f"min_metric 1 -9e15\nafter_min 3\n# EOF\n", OPENMETRICS), None),
    "odd_values": (page("odd_nan NaN\nodd_inf +Inf\nodd_tiny 5e-324\nodd_under 1e-400\nodd_huge -1.7976931348623157e308\n"), None),
    "utf8_names": (page('{"with.dots", "label.dots"="é"} 1\n'), None),
    "long_comment": (page("# " + "c" * 900000 + "\nafter_comment 3\n"), None),
    "deep_blank": (page("\n" * 900000 + "after_blank 3\n"), None),
    "gzip_good": (gzipped(b"gzip_good_metric 1\n"), None),
}
CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
  - job_name: bad
    body_size_limit: 1MB
    sample_limit: 5000
    label_limit: 50
    label_name_length_limit: 1000
    label_value_length_limit: 10000
    static_configs: [%(bad)s]
  - job_name: conformance
    scrape_native_histograms: true
    static_configs: [%(conformance)s]
  - job_name: good
    metrics_path: /good
    static_configs: [{targets: ["127.0.0.1:%(port)d"]}]
  - job_name: turns
    metrics_path: /turns
    static_configs: [{targets: ["127.0.0.1:%(port)d"]}]
"""


def conformance_pages():
    """path -> (answer, whether its parse must fail)."""
    pages = {}
    for kind, content_type in (("text", TEXT), ("openmetrics", OPENMETRICS), ("protobuf", PROTOBUF)):
        for path in sorted(glob.glob(f"{CONFORMANCE}/textparse/{kind}/*.in")):
            with open(path, "rb") as f:
                body = f.read()
            with open(path[:-2] + "jsonl") as f:
                lines = [json.loads(line) for line in f]
            options = lines[0].get("options") or {}
            fails = lines[-1]["end"] == "error" if not any(options.values()) else None
            pages[f"/{kind}-{os.path.basename(path)[:-3]}"] = (page(body, content_type), fails)
    return pages


def target_list(port, paths):
    return ", ".join('{targets: ["127.0.0.1:%d"], labels: {__metrics_path__: "%s", case: "%s"}}' % (port, p, p[1:])
                     for p in paths)


def targets_of(s, job):
    return {t["labels"]["case"]: t for t in s.data("targets")["activeTargets"] if t["scrapePool"] == job}


def check_errors(s):
    bad = []
    got = targets_of(s, "bad")
    for name, (_, want) in PAGES.items():
        t = got[name]
        if want is None and (t["health"] != "up" or t["lastError"]):
            bad.append(f"{name}: should be up, is {t['health']}: {t['lastError']}")
        if want is not None and (t["health"] != "down" or not re.search(want, t["lastError"])):
            bad.append(f"{name}: should be down with {want!r}, is {t['health']}: {t['lastError']}")
        if len(t["lastError"]) > 2000:
            bad.append(f"{name}: an error of {len(t['lastError'])} bytes")
    return bad


def check_conformance(s, pages):
    bad = []
    for name, t in targets_of(s, "conformance").items():
        fails = pages["/" + name][1]
        if fails and (t["health"] != "down" or not t["lastError"]):
            bad.append(f"{name}: should fail, is {t['health']}")
    return bad


def only(s, expr, nr=1):
    result = s.query(expr)
    assert len(result) == nr, f"{expr}: {result}"
    return result


def check_samples(s):
    """Bad samples are dropped and counted, their neighbours kept."""
    for name in ("after_dup", "after_far", "after_early", "after_max", "after_min", "after_comment", "after_blank", "gzip_good_metric"):
        assert only(s, name)[0]["value"][1] in ("1", "3"), name
    assert only(s, "dup_metric")[0]["value"][1] == "1", "the first of a duplicate stands"
    for name in ("far_metric", "early_metric", "max_metric", "min_metric"):
        assert s.query(f"last_over_time({name}[1h])") == [], f"{name} is not kept"
        for t in (YEAR_2098 / 1000, 9e9):
            assert s.query(name, time=t) == [], name
    for name in ("half_good_sample", "many", "endless", "cut_short", "a_metric"):
        assert s.query(f"last_over_time({name}[1h])") == [], f"{name}: a page that fails is not kept in part"
    values = {n: only(s, n)[0]["value"][1] for n in ("odd_nan", "odd_inf", "odd_tiny", "odd_under", "odd_huge")}
    assert values == {"odd_nan": "NaN", "odd_inf": "+Inf", "odd_tiny": "5e-324", "odd_under": "0",
                      "odd_huge": "-1.7976931348623157e+308"}, values
    assert only(s, '{"with.dots"}')[0]["metric"]["label.dots"] == "é"
    _, _, text = http("GET", s.url + "/metrics")
    for counter in ("prometheus_target_scrapes_sample_duplicate_timestamp_total", "prometheus_target_scrapes_sample_out_of_bounds_total",
                    "prometheus_target_scrapes_exceeded_body_size_limit_total", "prometheus_target_scrapes_exceeded_sample_limit_total"):
        value = re.search(rf"^{counter} (\S+)", text.decode(), re.M)
        assert value and float(value[1]) > 0, f"{counter} counts"


def check_neighbours(s, began):
    """The good target missed nothing meanwhile, and what a target had before it went bad is still there."""
    span = time.time() - began
    good = float(only(s, f"count_over_time(good_metric[{int(span) + 5}s])")[0]["value"][1])
    assert good >= span * 0.8 - 2, f"{good} good samples in {span:.0f} s"
    assert only(s, "max_over_time(turning_metric[1h])")[0]["value"][1] == "7"
    assert s.query("turning_metric") == [], "and is stale now"
    assert only(s, "up{job='turns'}")[0]["value"][1] == "0"


def rss_mb(s):
    with open(f"/proc/{s.process.p.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024


def main():
    d = workdir()
    conformance = conformance_pages()
    good = [0]
    turns = [page("turning_metric 7\n")]

    def good_page():
        good[0] += 1
        return page(f"good_metric {good[0]}\n")

    pages = {"/" + name: p for name, (p, _) in PAGES.items()}
    pages.update({path: p for path, (p, _) in conformance.items()})
    pages.update({"/good": good_page, "/turns": lambda: turns[0]})
    e = Exporter(pages)
    config = write(f"{d}/prometheus.yml", CONFIG % {"bad": target_list(e.port, ["/" + n for n in PAGES]),
                                                    "conformance": target_list(e.port, conformance), "port": e.port})
    began = time.time()
    s = Server(NARTHEX, config, f"{d}/data", logdir=d)
    wait_until("the turning target", lambda: s.query("turning_metric == 7"), process=s.process)
    turns[0] = page("turning_metric 8 x\n")
    wait_until("every target's first scrape", lambda: all(
        t["health"] != "unknown" for t in s.data("targets")["activeTargets"]), process=s.process)
    wait_until("the turned target down", lambda: s.query("up{job='turns'} == 0"), process=s.process)
    time.sleep(4)

    bad = check_errors(s) + check_conformance(s, conformance)
    for line in bad:
        print(line)
    check_samples(s)
    check_neighbours(s, began)
    print(f"{len(PAGES)} bad pages, {len(conformance)} of the shared cases{'' if conformance else ' (none here: skipped)'}, "
          f"at most {rss_mb(s):.0f} MB resident")
    assert s.stop() == 0
    assert "Sanitizer" not in s.process.tail(1 << 20), s.process.tail(6000)

    # And after a restart.
    s = Server(NARTHEX, config, f"{d}/data", logdir=d)
    assert only(s, "max_over_time(turning_metric[1h])")[0]["value"][1] == "7"
    s.kill()
    e.close()
    sys.exit(1 if bad else 0)


main()
