"""Function keys: who may call what, when the host was started with `--enable-auth`.

Keys are made anew at every start and live in memory only. Without `--enable-auth` everyone may do everything,
as with `func start`; URLs carry the system key all the same.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field


def _new_key() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one run of the host. No key shows in a repr."""

    enforced: bool
    master: str = field(default_factory=_new_key, repr=False)
    host: str = field(default_factory=_new_key, repr=False)
    """The default host key: opens every function of level `function`."""
    system: str = field(default_factory=_new_key, repr=False)
    """`durabletask_extension`: opens the durable webhooks."""

    def allow(self, level: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """Whether a request may pass. `level` is `anonymous`, `function`, `admin` or `system`.

        The header `x-functions-key` beats the query's `code`, also if it is the wrong one.
        """
        if not self.enforced or level == "anonymous":
            return True
        given = headers.get("x-functions-key") or query.get("code") or ""
        accepted = {"function": (self.host, self.master), "system": (self.system, self.master)}
        return any(
            hmac.compare_digest(given.encode(), key.encode()) for key in accepted.get(level, (self.master,))
        )
