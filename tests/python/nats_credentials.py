"""Keys and signed credentials of NATS, as its tools for operators write them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: What the first letter of a key stands for.
_PREFIXES = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
_SEED = 18 << 3


def _checksum(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def _encode(data: bytes) -> str:
    return base64.b32encode(data + _checksum(data).to_bytes(2, "little")).decode().rstrip("=")


class NatsKey:
    """A key of an operator, an account or a user."""

    def __init__(self, kind: str) -> None:
        """Make one."""
        self.kind = kind
        self._key = Ed25519PrivateKey.generate()
        self.public = _encode(bytes([_PREFIXES[kind]]) + self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        prefix = _PREFIXES[self.kind]
        first = bytes([_SEED | prefix >> 5, (prefix & 31) << 3])
        return _encode(first + self._key.private_bytes_raw())

    def sign(self, subject: NatsKey, **claims: Any) -> str:
        """Give a signed statement about another key, or about itself."""
        body = {
            "iat": int(time.time()),
            "iss": self.public,
            "name": subject.kind,
            "sub": subject.public,
            "nats": {"type": subject.kind, "version": 2, **claims},
        }
        body["jti"] = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        parts = [json.dumps(part, separators=(",", ":")).encode() for part in (_HEAD, body)]
        text = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
        signature = base64.urlsafe_b64encode(self._key.sign(text.encode())).decode().rstrip("=")
        return f"{text}.{signature}"


_HEAD = {"typ": "JWT", "alg": "ed25519-nkey"}


def operated() -> tuple[str, str]:
    """Give the configuration of a server that an operator runs, and the credentials file of a user of its account."""
    operator, account, system, user = (NatsKey(kind) for kind in ("operator", "account", "account", "user"))
    everything = dict.fromkeys(("subs", "conn", "leaf", "imports", "exports", "data", "payload"), -1)
    storage = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
    account_jwt = operator.sign(account, limits={**everything, "wildcards": True, **storage})
    user_jwt = account.sign(user, subs=-1, data=-1, payload=-1)
    system_jwt = operator.sign(system, limits={**everything, "wildcards": True})
    config = f"operator: {operator.sign(operator)}\nresolver: MEMORY\nsystem_account: {system.public}\n"
    config += f"resolver_preload: {{ {account.public}: {account_jwt}, {system.public}: {system_jwt} }}\n"
    credentials = f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
    credentials += f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    return config, credentials
