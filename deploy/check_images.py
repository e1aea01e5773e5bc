"""Starts every service from its image and tests a simulated meter, without a Docker engine.

    deploy/check_image.sh SERVICE     for each of gateway, scheduler, results, dialler: builds mts-SERVICE
    .venv/bin/python deploy/check_images.py

Needs root and buildah. The images' root file systems are mounted and entered by chroot as their user; the servers and
the meters are those of the local stack. Not part of CI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mts_client import MeterTest, MtsClient
from mts_metersim.presets import fleet
from mts_stack.fleet import Fleet
from mts_stack.postgres import create_database
from mts_stack.processes import find_program
from mts_stack.servers import local_servers
from mts_stack.services import SERVICES, Services
from mts_stack.tls import make_tls

os.environ["STORAGE_DRIVER"] = "vfs"
_USER = 65532


class ImageServices(Services):
    """The services as their images hold them."""

    roots: dict[str, Path]

    def program(self, name: str) -> list[str]:
        """The image's entry point, in its root file system and as its user."""
        return [find_program("chroot"), f"--userspec={_USER}:{_USER}", str(self.roots[name]), "/opt/mts/bin/service"]

    def environment(self, name: str) -> dict[str, str]:
        """What the image sets, then what the stack sets."""
        image = {
            "SERVICE": name,
            "PATH": "/opt/mts/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONSAFEPATH": "1",
            "HOME": "/",
        }
        return super().environment(name) | image


def main() -> int:
    """Test one meter and print what came of it; 0 if all was read."""
    containers = {name: _buildah("from", "--pull-never", f"mts-{name}") for name in SERVICES}
    directory = Path(tempfile.mkdtemp(prefix="mts-images-"))
    directory.chmod(0o711)
    try:
        ImageServices.roots = {name: Path(_buildah("mount", container)) for name, container in containers.items()}
        return _try_all(directory)
    finally:
        for container in containers.values():
            _buildah("rm", container)
        shutil.rmtree(directory, ignore_errors=True)


def _try_all(directory: Path) -> int:
    servers, meters = local_servers(directory, durable=False), Fleet(directory, fleet("healthy", 4))
    try:
        servers.start()
        meters.start()
        database = create_database(servers.postgres_admin_url, "mts")
        tls = make_tls(directory / "tls")
        inside = ImageServices.roots["gateway"] / str(tls.certificate.parent).lstrip("/")
        shutil.copytree(tls.certificate.parent, inside)
        for file in (inside.parent, inside, *inside.iterdir()):
            os.chown(file, _USER, _USER)
        services = ImageServices(directory, servers.amqp_url, database, tls)
        services.migrate()
        token, _ = services.create_tokens("images")
        try:
            services.start()
            meters.wait_ready()
            with MtsClient(services.api_url, token, trust=services.trust) as client:
                test_id = client.test_request(MeterTest.model_validate({**meters.meters[0], "immediate": True}))
                status = client.wait_for_result(test_id, deadline=60.0)
        finally:
            services.stop()
        ends = {name: services.process(name).exit_code for name in SERVICES}
        print(f"{status.result_summary}: {status.serial_number}, {len(status.register_groups)} groups of registers")
        print(f"exit codes after SIGTERM: {ends}")
        return 0 if status.result_summary == "SUCCESS" and not any(ends.values()) else 1
    finally:
        meters.stop()
        servers.remove()


def _buildah(*arguments: str) -> str:
    return subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
