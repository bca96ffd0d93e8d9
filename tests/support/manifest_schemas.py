"""Schemas of the programs that read the files in deploy/."""

from __future__ import annotations

import json
import pathlib

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TYPES = {
    name: schema
    for path in (ROOT / "tests" / "schemas").glob("*.json")
    for name, schema in json.loads(path.read_text(encoding="utf-8")).items()
}


def check(manifest, kind: str) -> None:
    """Checks a manifest as the API server does with strict validation."""
    schema = {"$ref": f"#/$defs/{kind}", "$defs": TYPES}
    jsonschema.Draft202012Validator(schema).validate(manifest)
