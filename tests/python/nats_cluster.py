"""Three real NATS servers that form a cluster."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from harness import taken_port
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats_server import NatsServer, ask, nats_binary

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

#: How long the servers may take to elect a leader, on a machine that has other things to do.
PATIENCE = 60


class NatsCluster:
    """The servers, by their names."""

    def __init__(self, folder: Path) -> None:
        """Write their configurations."""
        binary, self._taken = nats_binary(), [taken_port() for _ in range(3)]
        routes = ", ".join(f'"nats://127.0.0.1:{port.getsockname()[1]}"' for port in self._taken)
        self.servers: dict[str, NatsServer] = {}
        for number, port in enumerate(self._taken):
            listen = f'listen: "127.0.0.1:{port.getsockname()[1]}"'
            config = f"server_name: n{number}\ncluster {{ name: things, {listen}, routes: [{routes}] }}"
            self.servers[f"n{number}"] = NatsServer(binary, folder / f"n{number}", config)
        self.address = ",".join(server.address for server in self.servers.values())

    def __enter__(self) -> Self:
        for server in self.servers.values():
            server.launch()
        for server in self.servers.values():
            server.wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self.servers.values():
            server.__exit__(kind, error, traceback)
        for port in self._taken:
            port.close()

    def info(self, stream: str) -> dict[str, Any]:
        """Wait until a stream has a leader that runs, and give what it tells."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for server in self.servers.values():
                if server.process is None:
                    continue
                # Without a leader nobody answers, or somebody says that nobody does.
                with contextlib.suppress(NatsError, NatsTimeoutError):
                    told = ask(server, f"STREAM.INFO.{stream}", within=5)
                    leader = told.get("cluster", {}).get("leader", "")
                    if leader and self.servers[leader].process is not None:
                        return told
            assert time.monotonic() < deadline, f"{stream} has no leader"
            time.sleep(0.05)

    def leader(self, stream: str) -> NatsServer:
        """Wait until a stream has a leader that runs, and give it."""
        return self.servers[self.info(stream)["cluster"]["leader"]]
