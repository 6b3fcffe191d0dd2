"""What a host has to register, by name: whichever host it is, it registers all of this and nothing else."""

from collections.abc import Mapping
from typing import Any

from sitebackup import names
from sitebackup.activities.copying import copy_file_to_blob
from sitebackup.activities.ending import end_run
from sitebackup.activities.listing import get_file_list
from sitebackup.activities.manifest import write_manifest
from sitebackup.activities.running import Body
from sitebackup.activities.verifying import verify_blobs, verify_manifest
from sitebackup.orchestrations import backup, copying, listing, verification

ORCHESTRATORS: Mapping[str, Any] = {
    names.BACKUP_SITE_CONTENT: backup.backup_site_content,
    names.LIST_TREE: listing.list_tree,
    names.COPY_BATCHES: copying.copy_batches,
    names.VERIFY_BACKUP: verification.verify_backup,
    names.VERIFY_CONTENTS: verification.verify_contents,
}
"""Generator functions `(ctx, input)`, native to `durabletask`."""

ACTIVITIES: Mapping[str, Body] = {
    names.GET_FILE_LIST: get_file_list,
    names.COPY_FILE_TO_BLOB: copy_file_to_blob,
    names.WRITE_MANIFEST: write_manifest,
    names.VERIFY_MANIFEST: verify_manifest,
    names.VERIFY_BLOBS: verify_blobs,
    names.END_RUN: end_run,
}
"""Bodies for `sitebackup.activities.running.run`."""
