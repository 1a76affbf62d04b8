"""A scripted exporter: every path is a page, and some pages misbehave on the wire."""
import socket
import threading

TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def page(body, content_type=TEXT, status="200 OK", headers=()):
    """A well-formed HTTP answer around whatever body."""
    body = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class Exporter:
    """Serves pages[path]: bytes, a function that gives bytes, or a function of (socket, stop event) marked by `raw`."""

    def __init__(self, pages):
        self.pages = pages
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.seen = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with s:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = s.recv(65536)
                    if not part:
                        return
                    head += part
                path = head.split(b" ")[1].decode()
                self.seen[path] = self.seen.get(path, 0) + 1
                answer = self.pages[path.split("?")[0]]
                if getattr(answer, "raw", False):
                    answer(s, self.stopping)
                else:
                    s.sendall(answer() if callable(answer) else answer)
            except (OSError, KeyError):
                pass

    def close(self):
        self.stopping.set()
        self.listener.close()


def raw(function):
    """Marks a page that writes to the socket itself."""
    function.raw = True
    return function


@raw
def silent(s, stop):
    """Takes the request and never says a word."""
    stop.wait(600)


@raw
def drip(s, stop):
    """One byte of a page ten times a second: never done in time, never idle for long."""
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while not stop.wait(0.1):
        s.sendall(b"#")


@raw
def drip_header(s, stop):
    s.sendall(b"HTTP/1.1 200 OK\r\n")
    while not stop.wait(0.1):
        s.sendall(b"X-More: 1\r\n")


@raw
def endless(s, stop):
    """A page without an end, as fast as it is taken."""
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    for i in range(1 << 30):
        if stop.is_set():
            return
        s.sendall(b"".join(b"endless{n=\"%d\"} 1\n" % (i * 4096 + j) for j in range(4096)))


@raw
def endless_line(s, stop):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nendless_line{a=\"")
    while not stop.is_set():
        s.sendall(b"x" * (1 << 20))


@raw
def endless_header(s, stop):
    s.sendall(b"HTTP/1.1 200 OK\r\nX-More: ")
    while not stop.is_set():
        s.sendall(b"x" * (1 << 16))


@raw
def cut(s, stop):
    """Promises more than it sends."""
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\ncut_short 1\n")


@raw
def cut_chunked(s, stop):
    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nb\r\ncut_short 1\n\r\n5\r\n")


@raw
def garbage(s, stop):
    s.sendall(b"\x00\x01SSH-2.0-nonsense\r\n\r\n")


@raw
def hang_up(s, stop):
    pass
