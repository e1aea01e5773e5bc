"""A private RabbitMQ server, and its management API as tests and tools need it."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from mts_stack.http import PLAIN, says_well
from mts_stack.processes import SYSTEM_PATH, Process, StackFault, find_program, free_ports, listens, write_secret

ADMIN = "mts_admin"
MEMORY = "1GB"
START_SECONDS = 90.0
CALL_SECONDS = 30.0

# Debian's command of this name in PATH changes to a user of its own; the server's own one does not.
_FOLDER = Path("/usr/lib/rabbitmq/bin")

_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = {memory}
collect_statistics_interval = 500
log.console = false
"""
# Quorum queues tell the management API their counts at each tick: 5 s unless told otherwise.
_ADVANCED_CONFIG = "[{rabbit, [{quorum_tick_interval, 500}]}].\n"


class RabbitServer:
    """A private RabbitMQ with its own Erlang port mapper, cookie and administrator; data and ports outlast a restart.

    start, stop and kill may be called any number of times, in any order.
    """

    def __init__(self, directory: Path) -> None:
        self._base = directory / "rabbitmq"
        self._amqp, self._management, distribution, mapper = free_ports(4)
        self._password = secrets.token_hex(16)
        self._server = Process(
            "rabbitmq",
            [find_program("rabbitmq-server", _FOLDER)],
            directory,
            self._environment(distribution, mapper),
        )
        # Started by us, because the one that Erlang would start is a daemon that outlives the server.
        self._mapper = Process(
            "epmd",
            [find_program("epmd"), "-address", "127.0.0.1", "-port", str(mapper)],
            directory,
            stop_signal=signal.SIGKILL,
        )

    @property
    def amqp_url(self) -> str:
        """The default vhost, as administrator."""
        return f"amqp://{ADMIN}:{self._password}@127.0.0.1:{self._amqp}/%2F"

    @property
    def admin_url(self) -> str:
        """The management API, as administrator."""
        return f"http://{ADMIN}:{self._password}@127.0.0.1:{self._management}"

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._server.pid

    def _environment(self, distribution: int, mapper: int) -> dict[str, str]:
        return {
            "PATH": SYSTEM_PATH,
            "LANG": "C.UTF-8",
            "HOME": str(self._base),
            "RABBITMQ_NODENAME": f"mts{self._amqp}@localhost",
            "RABBITMQ_NODE_PORT": str(self._amqp),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(self._base / "data"),
            "RABBITMQ_LOG_BASE": str(self._base / "log"),
            "RABBITMQ_CONFIG_FILE": str(self._base / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self._base / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self._base / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._base / "plugins"),
            "RABBITMQ_PID_FILE": str(self._base / "server.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +A 8 -kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Makes the start script become the server, so that signals reach the server itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def start(self) -> None:
        """Start it and wait until it serves AMQP and the management API. Raises `StackFault`."""
        self._base.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(
            amqp=self._amqp, management=self._management, memory=MEMORY, user=ADMIN, password=self._password
        )
        write_secret(self._base / "rabbitmq.conf", config)
        (self._base / "advanced.config").write_text(_ADVANCED_CONFIG, "utf-8")
        (self._base / "plugins").write_text("[rabbitmq_management].\n", "utf-8")
        self._mapper.start()
        self._server.start()
        self._server.wait_ready(lambda: listens(self._amqp) and management_answers(self.admin_url), START_SECONDS)

    def stop(self) -> None:
        """End it in order."""
        self._server.stop()
        self._mapper.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._server.kill()
        self._mapper.kill()

    def limit_memory(self, limit: str) -> None:
        """How much memory it may have, as `1GB`, before it takes nothing from publishers. Raises `StackFault`."""
        command = [find_program("rabbitmqctl", _FOLDER), "set_vm_memory_high_watermark", "absolute", limit]
        set_limit = subprocess.run(
            command, env=self._server.environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
        if set_limit.returncode:
            raise StackFault(f"rabbitmqctl failed:\n{set_limit.stdout}{set_limit.stderr}")

    def remove(self) -> None:
        """End it for good, with its data. It is killed, because an orderly end takes it 6 s to keep the data safe."""
        self.kill()
        shutil.rmtree(self._base, ignore_errors=True)


def management_answers(admin_url: str) -> bool:
    """Whether the management API serves."""
    return says_well(f"{admin_url}/api/overview", CALL_SECONDS)


class Management:
    """One vhost through the management API. Every call blocks, and raises httpx's errors."""

    def __init__(self, admin_url: str, vhost: str) -> None:
        self._client = httpx.Client(base_url=f"{admin_url}/api", timeout=CALL_SECONDS, verify=PLAIN)
        self._user = urlsplit(admin_url).username or ""
        self.vhost = vhost
        self._path = quote(vhost, safe="")

    def close(self) -> None:
        """Close the HTTP client; the vhost stays."""
        self._client.close()

    def create_vhost(self) -> None:
        """Create the vhost, with all rights for the administrator."""
        self._send("PUT", f"/vhosts/{self._path}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._send("PUT", f"/permissions/{self._path}/{quote(self._user, safe='')}", json=everything)

    def delete_vhost(self) -> None:
        """Delete the vhost with all it holds; its connections are closed."""
        self._send("DELETE", f"/vhosts/{self._path}")

    def queues(self) -> dict[str, dict[str, Any]]:
        """The queues by name, as the management API shows them: messages, messages_ready, messages_unacknowledged,
        consumers and more. The counts are up to half a second old; a new queue has none yet.
        """
        return {queue["name"]: queue for queue in self._send("GET", f"/queues/{self._path}").json()}

    def delete_queue(self, name: str) -> None:
        """Delete a queue with what it holds; it may be missing."""
        self._send("DELETE", f"/queues/{self._path}/{quote(name, safe='')}", may_miss=True)

    def purge_queue(self, name: str) -> None:
        """Throw away the messages that are ready in a queue."""
        self._send("DELETE", f"/queues/{self._path}/{quote(name, safe='')}/contents")

    def publish(self, exchange: str, kind: str, body: str) -> None:
        """Publish a message that no service of ours would: with `kind` as its type and routing key."""
        message = {"properties": {"type": kind}, "routing_key": kind, "payload": body, "payload_encoding": "string"}
        self._send("POST", f"/exchanges/{self._path}/{quote(exchange, safe='')}/publish", json=message)

    def connections(self) -> list[str]:
        """The names of the open connections to the vhost; one may be up to half a second late to appear."""
        return [str(entry["name"]) for entry in self._send("GET", f"/vhosts/{self._path}/connections").json()]

    def close_connections(self) -> int:
        """Close every connection to the vhost from the server's side; how many."""
        names = self.connections()
        for name in names:
            self._send("DELETE", f"/connections/{quote(name, safe='')}", may_miss=True)
        return len(names)

    def tap(self, queue: str) -> None:
        """From now on a new queue takes a copy of every message that is published in the vhost, to wherever it goes."""
        name = quote(queue, safe="")
        self._send("PUT", f"/queues/{self._path}/{name}", json={"durable": True})
        source = f"/bindings/{self._path}/e/amq.rabbitmq.trace/q/{name}"
        self._send("POST", source, json={"routing_key": "publish.#"})
        self._send("PUT", f"/vhosts/{self._path}", json={"tracing": True})

    def _send(self, method: str, path: str, *, json: object = None, may_miss: bool = False) -> httpx.Response:
        answer = self._client.request(method, path, json=json)
        if not (may_miss and answer.status_code == httpx.codes.NOT_FOUND):
            answer.raise_for_status()
        return answer


def vhost_url(amqp_url: str, vhost: str) -> str:
    """The AMQP URL of another vhost of the same server."""
    return urlunsplit(urlsplit(amqp_url)._replace(path="/" + quote(vhost, safe="")))
