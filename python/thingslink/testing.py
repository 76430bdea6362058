"""A pytest plugin: the sandbox as fixtures, so that programs are tested without a network.

```python
def test_my_program(thingslink_sandbox):
    device = thingslink_sandbox.device("node-1")
    ...
```

Installing the package is enough: pytest finds the plugin by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thingslink.sandbox import Sandbox

__all__ = ["thingslink_sandbox"]


@pytest.fixture
def thingslink_sandbox() -> Iterator[Sandbox]:
    """Give a sandbox of the test's own, on free ports, with TLS beside plain MQTT."""
    from thingslink.sandbox import Sandbox  # noqa: PLC0415 - only tests that ask for it load the library

    with Sandbox(mqtts_port=0, seed=0) as sandbox:
        yield sandbox
