"""Random configurations, right and wrong ones, derived from the schema."""

import copy
import json
import operator

import yaml
from examples import ROOT, default_config
from hypothesis import strategies as st

PATH = ROOT / "workflow/schemas/config.schema.yaml"
SCHEMA = yaml.safe_load(PATH.read_text(encoding="utf-8"))
DEFAULT = default_config()
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


def resolved(schema: dict) -> dict:
    """The schema that a reference stands for, or the schema itself."""
    return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema


def allowed(schema: dict) -> st.SearchStrategy:
    """Values that fit a schema, for the parts of JSON schema that ours uses.

    The package hypothesis-jsonschema (0.23.1) does this for any schema, and breaks with Hypothesis
    6.170.
    """
    schema = resolved(schema)
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if "oneOf" in schema:
        return st.one_of(
            [
                allowed(
                    {"type": "object", "required": [], **one}
                    | {"required": list(one["properties"])}
                )
                for one in schema["oneOf"]
            ]
        )
    kinds = schema.get("type", [])
    return st.one_of(
        [_of_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    )


def _of_kind(kind: str, schema: dict) -> st.SearchStrategy:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if kind == "null":
        return st.none()
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(low, high) | st.integers(low or 0, (low or 0) + 30)
    if kind == "number":
        open_ends = {
            "exclude_min": "exclusiveMinimum" in schema,
            "exclude_max": "exclusiveMaximum" in schema,
        }
        return st.floats(low, high, allow_nan=False, allow_infinity=False, **open_ends)
    if kind == "string":
        return (
            st.from_regex(schema["pattern"], fullmatch=True)
            if "pattern" in schema
            else st.text(max_size=8)
        )
    if kind == "array":
        sizes = {"min_size": schema.get("minItems", 0), "max_size": schema.get("maxItems", 4)}
        return st.lists(
            allowed(schema["items"]), unique_by=repr if schema.get("uniqueItems") else None, **sizes
        )
    properties, needed, others = (
        schema.get("properties", {}),
        schema.get("required", []),
        schema.get("additionalProperties"),
    )
    known = st.fixed_dictionaries(
        {key: allowed(properties[key]) for key in needed},
        optional={key: allowed(part) for key, part in properties.items() if key not in needed},
    )
    if not isinstance(others, dict):
        return known
    names = st.from_regex(
        schema.get("propertyNames", {}).get("pattern", "^[a-z]{1,5}$"), fullmatch=True
    )
    return st.builds(operator.or_, st.dictionaries(names, allowed(others), max_size=2), known)


def described(schema: dict, value, path: tuple = ()):
    """Path, schema and value of everything in a configuration that the schema describes."""
    schema = resolved(schema)
    if path:
        yield path, schema, value
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        for key, inner in value.items():
            part = schema.get("properties", {}).get(key, others)
            if isinstance(part, dict):
                yield from described(part, inner, (*path, key))


PLACES = list(described(SCHEMA, DEFAULT))


@st.composite
def configurations(draw) -> tuple[dict, list[tuple]]:
    """The default configuration with one to three changes, and their paths.

    A change gives a key another value that the schema allows or one of any kind, takes the key
    away, or adds an unknown one.
    """
    config, paths = copy.deepcopy(DEFAULT), []
    for _ in range(draw(st.integers(1, 3))):
        path, schema, _ = draw(st.sampled_from(PLACES))
        at = config
        for key in path[:-1]:
            at = at.get(key) if isinstance(at, dict) else None
        if not isinstance(at, dict) or path[-1] not in at:
            continue  # an earlier change took it away
        change = draw(st.sampled_from(["allowed", "allowed", "anything", "absent", "unknown"]))
        if change == "allowed":
            at[path[-1]] = draw(allowed(schema))
        elif change == "anything":
            at[path[-1]] = draw(ANYTHING)
        elif change == "absent":
            del at[path[-1]]
        else:
            path = (*path[:-1], path[-1] + draw(st.text("abcxyz_-", min_size=1, max_size=3)))
            at[path[-1]] = draw(ANYTHING)
        paths.append(path)
    return json.loads(json.dumps(config)), paths
