"""The manifest of a finished run, held against its published schema whenever it is read."""

import json
from typing import Any

import jsonschema
from azure.storage.blob import BlobServiceClient

from localstack.client import Document
from localstack.settings import PROJECT


def read_manifest(blobs: BlobServiceClient, document: Document) -> tuple[Document, dict[str, Document]]:
    """The head, and the entries by path, of the manifest in `blobs` that a run's final status names.

    Fails unless every line is what docs/manifest.schema.json says and the entries are sorted by path.
    """
    container, _, name = document["customStatus"]["manifest"].partition("/")
    content = blobs.get_container_client(container).download_blob(name).readall()
    head, *entries = [json.loads(line) for line in content.splitlines()]
    schema = json.loads((PROJECT / "docs/manifest.schema.json").read_text())
    validator: Any = jsonschema.Draft202012Validator(schema)
    for line in (head, *entries):
        validator.validate(line)
    paths = [entry["path"] for entry in entries]
    assert paths == sorted(set(paths))
    assert head["run"] == document["instanceId"]
    return head, {entry["path"]: entry for entry in entries}
