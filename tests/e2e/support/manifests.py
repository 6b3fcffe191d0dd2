"""The manifest of a finished run, held against its published schema whenever it is read."""

import json
from typing import Any

import jsonschema
from azure.storage.blob import BlobServiceClient

from localstack.client import Document
from localstack.settings import PROJECT

SCHEMA = json.loads((PROJECT / "docs/manifest.schema.json").read_text())


def read_manifest(blobs: BlobServiceClient, document: Document) -> tuple[Document, dict[str, Document]]:
    """The index, and the entries by path, of the manifest in `blobs` that a run's final status names.

    Fails unless both are what docs/manifest.schema.json says, and parts and entries are sorted by path.
    """
    container, _, name = document["customStatus"]["manifest"].partition("/")
    client = blobs.get_container_client(container)
    index = json.loads(client.download_blob(name).readall())
    validate("index", index)
    assert index["run"] == document["instanceId"]
    folder = name.removesuffix("index.json")
    entries: list[Document] = []
    for part in index["parts"]:
        content = client.download_blob(f"{folder}{part['name']}.ndjson").readall()
        rows = [json.loads(line) for line in content.splitlines()]
        about = {"first": rows[0]["path"], "entries": len(rows), "bytes": len(content)}
        assert part == {"name": part["name"], **about}
        entries += rows
    for entry in entries:
        validate("entry", entry)
    paths = [entry["path"] for entry in entries]
    assert paths == sorted(set(paths))
    return index, {entry["path"]: entry for entry in entries}


def validate(kind: str, document: Document) -> None:
    """Fail unless a document, of a kind that the schema defines, is what the schema says."""
    schema = {"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}
    validator: Any = jsonschema.Draft202012Validator(schema)
    validator.validate(document)
