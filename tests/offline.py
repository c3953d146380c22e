"""python -m tests.offline FOLDER [--namespace]: a session that must not leave the machine.

Starts the server with documents, asks it something, ingests more, and stops it, with the spy in
every Python process. With --namespace it expects network and mount namespaces of its own; there
it becomes the network: whatever any process sends anywhere but loopback arrives here as a packet.
Prints what it saw as one line of JSON.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from tests.api.served import ROOT, Served, serving

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
DEVICE = "out0"
RESOLVER = "192.0.2.53"
LAST = "192.0.2.254"  # a packet of ours to this address closes the list
SPY = ROOT / "tests" / "spy"


@dataclass
class Report:
    """What was seen of the session."""

    answer: str = ""  # of the chat
    started: list[str] = field(default_factory=list)  # command lines of the Python processes
    attempts: list[dict[str, str]] = field(default_factory=list)  # refused by the spy
    packets: list[str] | None = None  # destinations of packets; None outside a namespace


def main() -> None:
    """Run the session and print the report."""
    folder = Path(sys.argv[1])
    report = Report()
    if "--namespace" in sys.argv:
        with network(folder) as report.packets:
            session(folder, report)
    else:
        session(folder, report)
    sys.stdout.write(json.dumps(asdict(report)) + "\n")


def session(folder: Path, report: Report) -> None:
    """Start, read, ask, ingest, stop."""
    log = folder / "spy.jsonl"
    environment = spied(log)
    documents = folder / "documents"
    documents.mkdir(parents=True)
    (documents / "mill.md").write_text(
        "# The mill\n\nThe mill of Brackwater was built in 1704 by Jonas Peel.\n", encoding="utf-8"
    )
    with serving(Served(folder / "data", docs=[documents], settings=environment)) as served:
        body = {
            "model": "parley",
            "messages": [{"role": "user", "content": "Who built the mill of Brackwater?"}],
        }
        with httpx.Client(base_url=served.url, timeout=60) as client:
            answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
            report.answer = answer["choices"][0]["message"]["content"]
            client.get("/docs").raise_for_status()
            client.get("/ready").raise_for_status()
        subprocess.run(
            [sys.executable, "-m", "knowledge", "ingest", str(ROOT / "README.md")],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "DATABASE_FOLDER": str(folder / "data" / "postgres"),
                **environment,
            },
            check=True,
            stdout=subprocess.DEVNULL,
        )
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    report.started = [record["started"] for record in records if "started" in record]
    report.attempts = [record for record in records if "event" in record]


def spied(log: Path) -> dict[str, str]:
    """Return the environment that puts the spy into every Python process."""
    return {"PYTHONPATH": f"{SPY}{os.pathsep}{ROOT}", "PYTHONSPYLOG": str(log)}


@contextmanager
def network(folder: Path) -> Iterator[list[str]]:
    """Be the only way out of this network namespace; fill a list with where packets want to go.

    The list is complete when the block has ended. Needs a mount namespace too: names are asked
    for at an address outside, never at a resolver on loopback.
    """
    resolver = folder / "resolv.conf"
    resolver.write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:1\n", encoding="utf-8")
    subprocess.run(["mount", "--bind", resolver, "/etc/resolv.conf"], check=True)
    device = os.open("/dev/net/tun", os.O_RDWR)
    request = struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI)
    fcntl.ioctl(device, TUNSETIFF, request)
    for command in (
        "link set lo up",
        f"link set {DEVICE} up",
        f"address add 192.0.2.1/32 dev {DEVICE}",
        f"route add default dev {DEVICE}",
        f"-6 route add default dev {DEVICE}",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    destinations: list[str] = []
    receiver = threading.Thread(target=receive, args=(device, destinations), daemon=True)
    receiver.start()
    yield destinations
    with socket.socket(type=socket.SOCK_DGRAM) as last:
        last.sendto(b"the end", (LAST, 9))
    receiver.join()


def receive(device: int, destinations: list[str]) -> None:
    """Note where each packet wants to go, up to the last one; none is forwarded."""
    while packet := os.read(device, 65536):
        raw = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        destination = ipaddress.ip_address(raw)
        if str(destination) == LAST:
            return
        # The kernel itself looks for IPv6 routers on every interface.
        if not destination.is_multicast:
            destinations.append(f"{destination} {asked_for(packet)}".rstrip())


def asked_for(packet: bytes) -> str:
    """Return the name that an IPv4 packet asks a name server for; "" for any other packet."""
    header = (packet[0] & 0x0F) * 4
    if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_UDP:
        return ""
    if struct.unpack_from("!H", packet, header + 2) != (53,):
        return ""
    labels, rest = [], packet[header + 8 + 12 :]
    while rest and rest[0]:
        labels.append(rest[1 : rest[0] + 1].decode("ascii", "replace"))
        rest = rest[rest[0] + 1 :]
    return ".".join(labels)


if __name__ == "__main__":
    main()
