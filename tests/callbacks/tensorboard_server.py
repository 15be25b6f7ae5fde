"""TensorBoard as a browser meets it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tensorboard import program


class Server:
    def __init__(self, url: str):
        self.url = url

    def get(self, path: str, **query: str) -> bytes:
        with urlopen(f"{self.url}data/{path}?{urlencode(query)}", timeout=20) as answer:
            return answer.read()

    def json(self, path: str, **query: str) -> Any:
        return json.loads(self.get(path, **query))

    def projector(self, route: str, **query: str) -> bytes:
        return self.get(f"plugin/projector/{route}", **query)

    def wait_for(self, question: Any, seconds: float = 30.0) -> Any:
        """Ask until the answer is true: TensorBoard reads files in the background."""
        end = time.monotonic() + seconds
        while not (answer := question()) and time.monotonic() < end:
            time.sleep(0.1)
        assert answer, "TensorBoard did not come to it"
        return answer


@contextmanager
def tensorboard(folder: Path) -> Iterator[Server]:
    server = program.TensorBoard()
    server.configure(argv=[None, "--logdir", str(folder), "--port", "0", "--host", "127.0.0.1", "--load_fast", "false"])
    yield Server(server.launch())
