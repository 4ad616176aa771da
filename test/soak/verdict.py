"""How a program of the soak says that what it saw was wrong."""
import sys
import traceback


class Wrong(Exception):
    """The mount has answered what it must not."""


def tell_wrong(error, history):
    """What led there for who reads, and the verdict for the test that listens. To be called while the error is handled."""
    if not isinstance(error, Wrong):
        traceback.print_exc()
    print("\n".join(history), file=sys.stderr, flush=True)
    print(f"wrong {error!r}", flush=True)
