"""narthextool tsdb over the data directories of conformance/tsdb: dumps must be those recorded, blocks
made from OpenMetrics must have the recorded bytes, and nothing may be written into a directory.

Lists and analyses are compared with promtool where build/peers has it.
"""
import glob
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ["SOURCE_DIR"]
TOOL = os.environ["NARTHEXTOOL"]
SHARED = os.environ.get("NARTHEX_CONFORMANCE", os.path.join(SOURCE, "..", "shared", "conformance"))
PEER = os.path.join(SOURCE, "build", "peers", "prometheus", "usr", "bin", "promtool")

# More than Prometheus reads may come back from a damaged WAL, up to what the undamaged one holds.
DAMAGED = {"wal-bitflip": "killed", "wal-truncated": "killed"}
NOT_YET = {"ooo-wbl": "out-of-order samples in the WBL are not read yet"}


def run(*args, tool=TOOL):
    return subprocess.run((tool,) + args, capture_output=True, timeout=120, check=False)


def recorded(name):
    with gzip.open(os.path.join(SHARED, "tsdb", name, "dump.txt.gz"), "rb") as file:
        return file.read().splitlines()


def state(directory):
    """Everything that would show a change: names, sizes, times."""
    found = []
    for path, dirs, files in os.walk(directory):
        for name in dirs + files:
            stat = os.stat(os.path.join(path, name))
            found.append((path, name, stat.st_size, stat.st_mtime_ns))
    return sorted(found)


def check_dump(name, directory):
    before = state(directory)
    done = run("tsdb", "dump", directory)
    got, want = sorted(done.stdout.splitlines()), recorded(name)
    if done.returncode != 0:
        return "dump: exit status %d: %s" % (done.returncode, done.stderr.decode())
    if state(directory) != before:
        return "dump: the directory has changed"
    if name in DAMAGED:
        bad = set(got) - set(recorded(DAMAGED[name])) or set(want) - set(got)
        return "dump: %d lines wrong" % len(bad) if bad else ""
    return "" if got == want else "dump: %d lines, wanted %d" % (len(got), len(want))


def check_peer(directory):
    if not os.path.exists(PEER) or not glob.glob(directory + "/*/meta.json"):
        return ""
    for args in (["list"], ["list", "-r"], ["analyze", "--limit=100000"]):
        ours, theirs = run("tsdb", *args, directory), run("tsdb", *args, directory, tool=PEER)
        # Equal numbers of an analysis come in any order from promtool, and 2.42 says "Series:".
        got = set(ours.stdout.replace(b"Total Series:", b"Series:").splitlines())
        want = set(theirs.stdout.splitlines())
        if got != want:
            return "%s differs from promtool's: got %s, wanted %s" % (
                args[0], sorted(got - want), sorted(want - got))
    return ""


def check_directory(name):
    work = tempfile.mkdtemp(prefix="narthextool-")
    try:
        directory = os.path.join(work, "data")
        shutil.copytree(os.path.join(SHARED, "tsdb", name, "data"), directory)
        return check_dump(name, directory) or check_peer(directory)
    finally:
        shutil.rmtree(work)


def blocks(directory):
    """Of each block, oldest first: its files but for meta.json, whose ULID differs, and its times."""
    found = []
    for meta_path in glob.glob(os.path.join(directory, "*", "meta.json")):
        block = os.path.dirname(meta_path)
        with open(meta_path, encoding="utf-8") as file:
            meta = json.load(file)
        files = {}
        for name in ("index", "chunks/000001", "tombstones"):
            with open(os.path.join(block, name), "rb") as file:
                files[name] = file.read()
        found.append((meta["minTime"], meta["maxTime"], meta["stats"], files))
    return sorted(found, key=lambda one: one[0])


def check_import():
    recorded_at = os.path.join(SHARED, "tsdb", "blocks-openmetrics")
    work = tempfile.mkdtemp(prefix="narthextool-")
    try:
        text, out = os.path.join(work, "in.om"), os.path.join(work, "out")
        with gzip.open(os.path.join(recorded_at, "input.om.txt.gz")) as source, open(text, "wb") as to:
            shutil.copyfileobj(source, to)
        done = run("tsdb", "create-blocks-from", "openmetrics", text, out)
        if done.returncode != 0:
            return "exit status %d: %s" % (done.returncode, done.stderr.decode())
        if blocks(out) != blocks(os.path.join(recorded_at, "data")):
            return "blocks differ from the recorded ones"
        return ""
    finally:
        shutil.rmtree(work)


def main():
    root = os.path.join(SHARED, "tsdb")
    if not os.path.isdir(root):
        print("data directories: skipped, no %s" % root)
        return 77
    names = sorted(n for n in os.listdir(root) if os.path.isdir(os.path.join(root, n, "data")))
    passed = skipped = 0
    for name in names:
        if name in NOT_YET:
            print("%s: skipped, %s" % (name, NOT_YET[name]))
            skipped += 1
            continue
        said = check_directory(name)
        passed += said == ""
        if said:
            print("%s: %s" % (name, said))
    said = check_import()
    passed += said == ""
    if said:
        print("create-blocks-from openmetrics: %s" % said)
    wanted = len(names) - skipped + 1
    print("data directories: %d of %d passed, %d skipped%s" % (
        passed, wanted, skipped, "" if os.path.exists(PEER) else ", without promtool to compare"))
    return 0 if passed == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
