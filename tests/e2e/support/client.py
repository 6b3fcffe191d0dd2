"""The app's HTTP interface as a test uses it."""

import time

import httpx

from localstack.client import BackupClient, Document


class WaitingClient(BackupClient):
    """A caller that can also wait for the end of a run."""

    def wait(self, started: Document, timeout: float) -> Document:
        """Return the final status document of what `start` returned.

        It goes on asking for all of `timeout` seconds, whatever happens to the host meanwhile, as `follow`
        says. Raises TimeoutError, with what came last, if the run has not ended by then.
        """
        document = started
        deadline = time.monotonic() + timeout
        try:
            for document in self.follow(started, patience=timeout):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"The run has not ended within {timeout:.0f} s: {document}")
        except httpx.HTTPError as error:
            if time.monotonic() < deadline:
                raise
            raise TimeoutError(f"The host has not answered within {timeout:.0f} s: {error}") from error
        return document
