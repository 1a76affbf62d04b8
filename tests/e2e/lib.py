"""What the end-to-end tests share: processes on free loopback ports in a temporary directory, ended by their own ids.

A test is a Python program (standard library only): exit status 0 passes, 77 skips (with the reason printed), all else fails.
Environment: NARTHEX is the server to test, PEERS the directory of unpacked peers, CONFORMANCE the shared cases (may be missing).
"""
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NARTHEX = os.environ.get("NARTHEX", os.path.join(ROOT, "build/release/narthex"))
PEERS = os.environ.get("PEERS", os.path.join(ROOT, "build/peers"))
CONFORMANCE = os.environ.get("NARTHEX_CONFORMANCE", os.path.join(ROOT, "../shared/conformance"))

PEER_PROGRAMS = {
    "prometheus": "prometheus/usr/bin/prometheus",
    "promtool": "prometheus/usr/bin/promtool",
    "alertmanager": "prometheus-alertmanager/usr/bin/prometheus-alertmanager",
    "node_exporter": "prometheus-node-exporter/usr/bin/prometheus-node-exporter",
    "victoria-metrics": "victoria-metrics/usr/bin/victoria-metrics",
}


def skip(reason):
    print("SKIP", reason)
    sys.exit(77)


def peer(name):
    """Path of a peer's program; skips the whole test when it cannot be had."""
    path = os.path.join(PEERS, PEER_PROGRAMS[name])
    if not os.access(path, os.X_OK):
        skip(f"{name} is not under {PEERS}")
    return path


def alertmanager_command():
    """Debian's Alertmanager reads its default templates from /usr/share only, and it is unpacked, not installed: it runs in a mount
    namespace of its own that has them there."""
    program = peer("alertmanager")
    templates = os.path.join(PEERS, "prometheus-alertmanager/usr/share/prometheus/alertmanager")
    if os.path.exists("/usr/share/prometheus/alertmanager/default.tmpl"):
        return [program]
    script = (f"mount -t tmpfs none /usr/share && mkdir -p /usr/share/prometheus && "
              f"cp -r {templates} /usr/share/prometheus/ && exec {program} \"$@\"")
    command = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"]) + ["sh", "-c", script, "alertmanager"]
    if subprocess.run([*command, "--version"], capture_output=True).returncode != 0:
        skip("Alertmanager cannot be started: no mount namespace to give it its templates")
    return command


def workdir():
    """A temporary directory that goes with the test (kept when KEEP is set, to look at after a failure)."""
    path = tempfile.mkdtemp(prefix="narthex-e2e-")
    if not os.environ.get("KEEP"):
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


_used_ports = set()


def free_port():
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port not in _used_ports:
            _used_ports.add(port)
            return port


class Process:
    """A child with its output in a file; ended at exit whatever happens."""

    def __init__(self, args, log, env=None, cwd=None):
        self.log = log
        self.args = args
        self.out = open(log, "ab")
        self.p = subprocess.Popen(args, stdout=self.out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env,
                                  cwd=cwd)
        atexit.register(self.kill)

    def alive(self):
        return self.p.poll() is None

    def kill(self):
        """kill -9, as a crash."""
        if self.alive():
            self.p.kill()
            self.p.wait()

    def stop(self, sig=signal.SIGTERM, timeout=30):
        """Asks it to end; returns its exit status."""
        if self.alive():
            self.p.send_signal(sig)
        try:
            return self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.args[0]} did not stop within {timeout} s; see {self.tail()}")

    def tail(self, n=3000):
        with open(self.log, "rb") as f:
            return f.read()[-n:].decode("utf-8", "replace")


def http(method, url, body=None, headers=None, timeout=30):
    """(status, headers, body bytes); an HTTP error status is an answer like any other."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as e:
        return e.code, dict(e.headers), e.read()


def get_json(url, timeout=30):
    status, _, body = http("GET", url, timeout=timeout)
    try:
        return status, json.loads(body)
    except ValueError:
        raise AssertionError(f"{url} answered {status} with {body[:200]!r}")


def wait_until(what, check, timeout=60, pause=0.1, process=None):
    """Polls check() until it gives something true, and returns that."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        if process is not None and not process.alive():
            raise AssertionError(f"waiting for {what}: the process ended with {process.p.returncode}:\n{process.tail()}")
        try:
            value = check()
            if value:
                return value
        except (OSError, AssertionError) as e:
            last = e
        time.sleep(pause)
    tail = "" if process is None else "\n" + process.tail()
    raise AssertionError(f"{what} did not come within {timeout} s ({last}){tail}")


class Server:
    """A Prometheus-like server: Narthex, or a peer with the same flags."""

    def __init__(self, program, config, data, flags=(), name="narthex", logdir=None, env=None):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        args = [program, f"--config.file={config}", f"--storage.tsdb.path={data}",
                f"--web.listen-address=127.0.0.1:{self.port}", *flags]
        self.process = Process(args, os.path.join(logdir or os.path.dirname(config), f"{name}-{self.port}.log"), env=env)
        wait_until(f"{name} ready", lambda: http("GET", self.url + "/-/ready", timeout=5)[0] == 200,
                   process=self.process, timeout=60)

    def api(self, path, **params):
        query = urllib.parse.urlencode(params, doseq=True)
        return get_json(f"{self.url}/api/v1/{path}" + ("?" + query if query else ""))

    def data(self, path, **params):
        status, answer = self.api(path, **params)
        if status != 200 or answer.get("status") != "success":
            raise AssertionError(f"{path} {params}: {status} {answer}")
        return answer["data"]

    def query(self, expr, **params):
        return self.data("query", query=expr, **params)["result"]

    def kill(self):
        self.process.kill()

    def stop(self):
        return self.process.stop()


def by_labels(result):
    """A vector or matrix as a dictionary from label sets to its samples."""
    out = {}
    for series in result:
        key = tuple(sorted(series["metric"].items()))
        if key in out:
            raise AssertionError(f"duplicate series {key}")
        out[key] = series.get("value") or series.get("values") or series.get("histogram") or series.get("histograms")
    return out


def write(path, text):
    """Replaces a file at once, as a configuration tool does."""
    tmp = path + ".tmp"
    with open(tmp, "w") as f:
        f.write(text)
    os.rename(tmp, path)
    return path
