"""Runs the end-to-end tests: real engines on emulated devices, faults as data, checks from outside.

    run.py [--labs N] end-to-end|contracts [NAME...]

With several labs the tests are dealt out to as many sites of four devices, which work at the same time: a test mostly waits.
Prints a line a test and, to the file $POISE_RESULTS, "PASSED FAILED".
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(ROOT, "compose", "lab"))

import fixture  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--labs", type=int, default=1)
    parser.add_argument("tier", choices=["end-to-end", "contracts"])
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    # A lab outlives who started it, so that whoever is told to end takes it down first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.tier == "contracts":
        import contracts as suite
    else:
        import scenarios as suite
    names = options.names
    tests = [test for test in suite.TESTS if not names or test.__name__ in names]
    if not tests:
        sys.exit(f"no test is called {' or '.join(names)}; there are: {', '.join(t.__name__ for t in suite.TESTS)}")
    labs = min(options.labs, len(tests))
    passed, failed = side_by_side(options.tier, tests, labs) if labs > 1 else one_after_the_other(tests)
    if "POISE_RESULTS" in os.environ:
        with open(os.environ["POISE_RESULTS"], "w") as file:
            file.write(f"{passed} {failed}\n")
    print(f"{options.tier}: {passed} passed, {failed} failed", file=sys.stderr)
    sys.exit(1 if failed else 0)


def one_after_the_other(tests):
    """How many passed and failed, on one site."""
    passed = failed = 0
    site = None
    try:
        for test in tests:
            title = test.__doc__.strip().splitlines()[0].rstrip(".")
            began = time.monotonic()
            print(f"… {title}", file=sys.stderr, flush=True)
            try:
                if site is None:
                    site = fixture.start()
                test(site)
                passed += 1
                print(f"✓ {title} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
            except Exception:
                failed += 1
                traceback.print_exc()
                if site is not None:
                    fixture.tell(site)
                print(f"✗ {title} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
                # A failure may leave a device in any state: the next test gets a new site.
                fixture.stop()
                site = None
    finally:
        # Whoever is told twice takes it down once.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if "POISE_KEEP" not in os.environ:
            fixture.stop()
    return passed, failed


def side_by_side(tier, tests, labs):
    """The same, on several sites at a time, each with a process, a directory and a network of its own."""
    name = os.environ.get("LAB_NAME", "poise-lab")
    directory = os.environ.get("LAB_DIR", f"/var/lib/{name}")
    first, second, third = map(int, os.environ.get("LAB_NET", "10.77.0").split("."))
    running = []
    with tempfile.TemporaryDirectory() as results:
        try:
            for lab in range(labs):
                environment = {**os.environ, "LAB_NAME": f"{name}-{lab + 1}", "LAB_DIR": f"{directory}-{lab + 1}",
                               "LAB_NET": f"{first}.{second}.{third + lab + 1}",
                               "POISE_RESULTS": os.path.join(results, str(lab))}
                command = [sys.executable, "-u", os.path.abspath(__file__), tier]
                # In their order: the last ones leave a site that no other test can use.
                command += [test.__name__ for test in tests[lab::labs]]
                running.append((len(tests[lab::labs]), subprocess.Popen(command, env=environment)))
            counts = [count(os.path.join(results, str(lab)), expected, process)
                      for lab, (expected, process) in enumerate(running)]
        finally:
            for _, process in running:
                process.terminate()
            for _, process in running:
                process.wait()
    return sum(passed for passed, _ in counts), sum(failed for _, failed in counts)


def count(path, expected, process):
    """(passed, failed) of one lab. One that has not told counts as failed, for all its tests."""
    process.wait()
    try:
        with open(path) as file:
            passed, failed = map(int, file.read().split())
            return passed, failed
    except (FileNotFoundError, ValueError):
        print(f"a lab's tests ended with status {process.returncode} before they were done", file=sys.stderr)
        return 0, expected


if __name__ == "__main__":
    main()
