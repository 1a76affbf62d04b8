"""Runs narthextool over the command lines of conformance/promtool: exit status and texts.

Needs NARTHEXTOOL (the program) and finds the shared data by NARTHEX_CONFORMANCE or beside the
checkout; without it that part is skipped, in words.
"""
import difflib
import json
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ["SOURCE_DIR"]
TOOL = os.environ["NARTHEXTOOL"]
SHARED = os.environ.get("NARTHEX_CONFORMANCE", os.path.join(SOURCE, "..", "shared", "conformance"))


def run(args, cwd, stdin=None):
    with open(stdin, "rb") if stdin else open(os.devnull, "rb") as source:
        return subprocess.run([TOOL] + args, cwd=cwd, stdin=source, capture_output=True,
                              timeout=120, check=False)


def differences(name, want, got):
    return "".join(difflib.unified_diff(want.splitlines(True), got.splitlines(True),
                                        "wanted " + name, "got " + name))


def check(case, cwd):
    """The differences as text; empty when the case passes."""
    stdin = os.path.join(cwd, case["stdin"]) if "stdin" in case else None
    done = run(case["args"], cwd, stdin)
    said = ""
    if done.returncode != case["exit"]:
        said += "exit status %d, wanted %d\n" % (done.returncode, case["exit"])
    for name, got in (("stdout", done.stdout), ("stderr", done.stderr)):
        if name in case:
            said += differences(name, case[name], got.decode("utf-8", "replace"))
    return said


def run_cases(title, cases, cwd):
    passed = 0
    for case in cases:
        said = check(case, cwd)
        passed += said == ""
        if said:
            print("%s\n%s" % (" ".join(case["args"]), said))
    print("%s: %d of %d passed" % (title, passed, len(cases)))
    return passed == len(cases)


def copied(path):
    root = tempfile.mkdtemp(prefix="narthextool-")
    directory = os.path.join(root, "work")
    shutil.copytree(path, directory)
    return root, directory


def load_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def suite(title, directory):
    if not os.path.isfile(os.path.join(directory, "expected.jsonl")):
        print("%s: skipped, no %s" % (title, directory))
        return True
    root, work = copied(directory)
    try:
        return run_cases(title, load_lines(os.path.join(work, "expected.jsonl")), work)
    finally:
        shutil.rmtree(root)


def main():
    ok = suite("command lines of promtool", os.path.join(SHARED, "promtool"))
    ok = suite("own command lines", os.path.join(SOURCE, "tests", "data", "tool")) and ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
