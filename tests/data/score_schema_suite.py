#!/usr/bin/env python3
"""Scores JSON Schemas held to by Socle against the JSON Schema Test Suite, by keyword.

The suite travels in the source distribution of the Python package jsonschema:

    pip download --no-deps --no-binary :all: jsonschema==4.23.0 && tar xf jsonschema-4.23.0.tar.gz
    ninja -C build tests/schema_suite
    tests/data/score_schema_suite.py build/tests/schema_suite jsonschema-4.23.0/json/tests/draft2020-12
    tests/data/score_schema_suite.py build/tests/schema_suite tests/data/schema_cases.json --draw 1000

With --draw N and the package jsonschema installed (jsonschema[format]), N texts are drawn by chance from each compiled
schema, and all must be valid.

Columns: schemas that are compiled, of all; valid instances accepted, of all under compiled schemas; invalid instances
accepted. The last must be 0: it ends with an error otherwise, and tells which.
"""
import decimal
import json
import pathlib
import subprocess
import sys


def invalid_of(schema, drawn, is_format):
    import jsonschema
    exact = json.loads(json.dumps(schema), parse_float=decimal.Decimal)  # 0.3 is a multiple of 0.1
    if isinstance(schema, dict) and schema.get("format") == "relative-json-pointer":
        return []  # the package refuses pointers with a zero inside a number
    validator = jsonschema.Draft202012Validator(
        exact, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER if is_format else None)
    bad = []
    for text in drawn:
        try:
            if not validator.is_valid(json.loads(text, parse_float=decimal.Decimal)):
                bad.append(text)
        except ValueError as error:
            bad.append(f"{text} ({error})")
    return bad


def ask(process, schema, texts, n_draws):
    process.stdin.write(json.dumps({"schema": schema, "texts": texts, "draw": n_draws}) + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    return json.loads(line) if line else None


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    verbose = "-v" in sys.argv[3:]
    files = [folder] if folder.is_file() else sorted(folder.glob("*.json")) + sorted((folder / "optional" / "format").glob("*.json"))
    n_draws = int(sys.argv[sys.argv.index("--draw") + 1]) if "--draw" in sys.argv else 0
    n_drawn = 0
    total = [0] * 5
    unsound = []
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"{'keyword':34} {'schemas':>9} {'valid':>11} {'unsound':>7}")
    for path in files:
        counts = [0] * 5
        for group in json.loads(path.read_text(encoding="utf-8")):
            if "tests" not in group:  # a row of schema_cases.json
                tests = [{"data": json.loads(t), "valid": True, "description": t} for t in group["valid"]]
                group = {"schema": group["schema"], "description": "our own", "tests": tests}
            texts = [json.dumps(test["data"], ensure_ascii=False) for test in group["tests"]]
            answer = ask(process, group["schema"], texts, n_draws)
            if answer is None:
                print(f"the program died of {path.name}: {group['description']}: {json.dumps(group['schema'])}")
                return 1
            counts[1] += 1
            if "refused" in answer:
                if verbose:
                    print(f"  refused: {path.stem}: {group['description']}: {answer['refused']}")
                continue
            counts[0] += 1
            n_drawn += len(answer["drawn"])
            for text in invalid_of(group["schema"], answer["drawn"], path.parent.name == "format") if n_draws else []:
                counts[4] += 1
                unsound.append(f"{path.stem}: {group['description']}: {json.dumps(group['schema'])} yields {text}")
            for test, accepted in zip(group["tests"], answer["accepted"]):
                if test["valid"]:
                    counts[3] += 1
                    counts[2] += accepted
                    if verbose and not accepted:
                        print(f"  missed: {path.stem}: {group['description']}: {test['description']}")
                elif accepted:
                    counts[4] += 1
                    unsound.append(f"{path.stem}: {group['description']}: {test['description']}: "
                                   f"{json.dumps(group['schema'])} accepts {json.dumps(test['data'])}")
        name = ("format " if path.parent.name == "format" else "") + path.stem
        print(f"{name:34} {counts[0]:4}/{counts[1]:4} {counts[2]:5}/{counts[3]:5} {counts[4]:7}")
        total = [a + b for a, b in zip(total, counts)]
    print(f"{'all':34} {total[0]:4}/{total[1]:4} {total[2]:5}/{total[3]:5} {total[4]:7}")
    if n_draws:
        print(f"{n_drawn} texts were drawn")
    for line in unsound:
        print("UNSOUND", line)
    return 1 if unsound else 0


if __name__ == "__main__":
    sys.exit(main())
