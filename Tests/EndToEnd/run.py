"""Runs the end-to-end tests: real engines on emulated devices, faults as data, checks from outside.

    run.py end-to-end|contracts [NAME...]

Prints a line a test and, to the file $POISE_RESULTS, "PASSED FAILED".
"""

import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(ROOT, "compose", "lab"))

import fixture  # noqa: E402


def main():
    tier, names = sys.argv[1], sys.argv[2:]
    if tier == "contracts":
        import contracts as suite
    else:
        import scenarios as suite
    tests = [test for test in suite.TESTS if not names or test.__name__ in names]
    if not tests:
        sys.exit(f"no test is called {' or '.join(names)}; there are: {', '.join(t.__name__ for t in suite.TESTS)}")
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
        if "POISE_KEEP" not in os.environ:
            fixture.stop()
    if "POISE_RESULTS" in os.environ:
        with open(os.environ["POISE_RESULTS"], "w") as file:
            file.write(f"{passed} {failed}\n")
    print(f"{tier}: {passed} passed, {failed} failed", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
