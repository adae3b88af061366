"""A webhook's server on this machine."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Heard:
    """A webhook's server that keeps what was posted; ``answer`` is what it says."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.tokens: list[str] = []
        self.answer = 200
        self.before: Callable[[dict], None] = lambda _body: None
        self.address = ""


@contextmanager
def hook() -> Iterator[Heard]:
    """Serve a webhook on this machine."""
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.bodies.append(body)
            heard.tokens.append(self.headers.get("Authorization", ""))
            heard.before(body)
            self.send_response(heard.answer)
            if heard.answer == 302:
                self.send_header("Location", f"{heard.address}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        heard.address = f"http://127.0.0.1:{server.server_port}/hook?key=address-secret"
        try:
            yield heard
        finally:
            server.shutdown()
            thread.join()
