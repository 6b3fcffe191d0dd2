"""Tasks that succeed or fail together."""

import pytest

from sitebackup.concurrently import all_of


async def test_the_first_failure_is_raised_as_it_was_with_its_cause() -> None:
    cause = OSError("refused")

    async def fail() -> None:
        raise ValueError("storage does not answer") from cause

    with pytest.raises(ValueError, match="storage does not answer") as failed:
        await all_of([fail()])
    assert failed.value.__cause__ is cause
