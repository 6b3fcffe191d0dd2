"""Registered names, once. A name in a running task hub's history must never change."""

BACKUP_SITE_CONTENT = "E2_BackupSiteContent"
LIST_TREE = "E2_ListTree"
COPY_BATCHES = "E2_CopyBatches"
VERIFY_BACKUP = "E2_VerifyBackup"
VERIFY_CONTENTS = "E2_VerifyContents"

GET_FILE_LIST = "E2_GetFileList"
COPY_FILE_TO_BLOB = "E2_CopyFileToBlob"
WRITE_MANIFEST = "E2_WriteManifest"
VERIFY_MANIFEST = "E2_VerifyManifest"
VERIFY_BLOBS = "E2_VerifyBlobs"
END_RUN = "E2_EndRun"

PROGRESS = "E2_Progress"
"""An event that a process which works for a run raises for its orchestration, with a `Progress`."""

PUBLIC_ORCHESTRATORS = (BACKUP_SITE_CONTENT, VERIFY_BACKUP)
"""What may be started over HTTP; every other orchestration is a part of one of these."""

BACKUPS_CONTAINER = "backups"
"""One blob per file: the latest state."""

HISTORY_CONTAINER = "backup-history"
"""Content that was overwritten or deleted in the container of backups: written once, never changed."""

CATALOG_CONTAINER = "backup-catalog"
"""What stays of each run: its record and its manifest."""

RUNS_CONTAINER = "backup-runs"
"""What a run needs to remember while it goes on and must not put into its history: plans, outcomes."""
