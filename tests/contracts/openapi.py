"""A published OpenAPI document as a judge: is this request one that it describes, and this answer?

Only what Airflow's documents use: paths with variables, query parameters, JSON bodies, `$ref`, and `nullable` of
OpenAPI 3.0, which JSON Schema does not know.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

SPECS = Path(__file__).parent / "specs"


def _plain(value: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema: what is nullable may be null; a readOnly field is no matter."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _plain(item) for name, item in value.items() if name not in ("nullable", "discriminator")}
    if value.get("nullable") is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


class OpenApi:
    """One document."""

    def __init__(self, file: str, root: str) -> None:
        """Read a document of `specs`; its paths are found behind `root` in those of requests."""
        text = (SPECS / file).read_text(encoding="utf-8")
        told = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.document = _plain(told) if told["openapi"].startswith("3.0") else told
        self.root = root
        registry = Registry().with_resource("doc", Resource(self.document, DRAFT202012))
        self._validator = functools.partial(jsonschema.Draft202012Validator, registry=registry)
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "([^/]+)", template) + "$"), template)
            for template in self.document["paths"]
        ]

    def _resolved(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in item:
            found: Any = self.document
            for name in item["$ref"].lstrip("#/").split("/"):
                found = found[name.replace("~1", "/").replace("~0", "~")]
            item = found
        return item

    def _operation(self, method: str, path: str) -> tuple[str, Mapping[str, Any] | None]:
        inside = path.removeprefix(self.root)
        # A path without variables says more than one with them.
        for pattern, template in sorted(self._paths, key=lambda pair: pair[1].count("{")):
            if pattern.match(inside) and method.lower() in self.document["paths"][template]:
                return template, self.document["paths"][template][method.lower()]
        return inside, None

    def _errors(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        absolute = _absolute(schema)
        return [
            f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
            for error in self._validator(absolute).iter_errors(value)
        ]

    def wrong_in_request(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> list[str]:
        """Return what the document does not know of a request; [] when it knows all of it."""
        template, operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {template} is not described"]
        listed = [*operation.get("parameters", ()), *self.document["paths"][template].get("parameters", ())]
        names = {p["name"] for p in map(self._resolved, listed) if p["in"] == "query"}
        wrong = [f"{method} {template}: no parameter {name}" for name in query if name not in names]
        if "requestBody" in operation:
            content = self._resolved(operation["requestBody"])["content"]["application/json"]
            wrong += [f"{method} {template}: {text}" for text in self._errors(content["schema"], body)]
        elif body is not None:
            wrong.append(f"{method} {template} takes no body")
        return wrong

    def wrong_in_answer(self, method: str, path: str, status: int, kind: str, body: Any) -> list[str]:
        """Return what the document does not know of an answer; [] when it knows all of it."""
        template, operation = self._operation(method, path)
        described = (operation or {}).get("responses", {}).get(str(status))
        if described is None:
            return [f"{method} {template}: status {status} is not described"]
        content = self._resolved(described).get("content") or {}
        if "json" not in kind or "application/json" not in content:
            return [] if kind in content or not content else [f"{method} {template}: no answer of type {kind}"]
        errors = self._errors(content["application/json"]["schema"], body)
        return [f"{method} {template} {status}: {text}" for text in errors]


def _absolute(value: Any) -> Any:
    """Return a schema whose references lead into the registered document."""
    if isinstance(value, list):
        return [_absolute(item) for item in value]
    if isinstance(value, dict):
        return {k: f"doc{v}" if k == "$ref" and str(v).startswith("#") else _absolute(v) for k, v in value.items()}
    return value


@functools.cache
def published(name: str) -> OpenApi:
    """Return a document by what it is of: v2, v1 or token."""
    file, root = {
        "v2": ("airflow-3.3.2-v2.yaml", ""),
        "v1": ("airflow-2.11.2-stable-v1.yaml", "/api/v1"),
        "token": ("airflow-3.3.2-simple-auth-manager.yaml", ""),
    }[name]
    return OpenApi(file, root)
