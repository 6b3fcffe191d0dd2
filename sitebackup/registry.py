"""What a host has to register, by name: whichever host it is, it registers all of this and nothing else."""

from collections.abc import Mapping
from typing import Any

from sitebackup import activities, names, orchestrators
from sitebackup.activities import Body

ORCHESTRATORS: Mapping[str, Any] = {
    names.BACKUP_SITE_CONTENT: orchestrators.backup_site_content,
    names.LIST_TREE: orchestrators.list_tree,
    names.COPY_TASKS: orchestrators.copy_tasks,
    names.VERIFY_BACKUP: orchestrators.verify_backup,
    names.VERIFY_CONTENTS: orchestrators.verify_contents,
}
"""Generator functions `(ctx, input)`, native to `durabletask`."""

ACTIVITIES: Mapping[str, Body] = {
    names.GET_FILE_LIST: activities.get_file_list,
    names.COPY_FILE_TO_BLOB: activities.copy_file_to_blob,
    names.WRITE_MANIFEST: activities.write_manifest,
    names.VERIFY_MANIFEST: activities.verify_manifest,
    names.VERIFY_BLOBS: activities.verify_blobs,
}
"""Bodies for `sitebackup.activities.run`."""
