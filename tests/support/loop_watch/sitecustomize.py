"""Imported by every Python process whose PYTHONPATH leads here: reports files used on event loops.

Python tells each use of a file before it happens. Once `LOOP_WATCH_MARK` exists, one in a thread
that runs an event loop is written to `LOOP_WATCH_REPORT`, with where it came from.
"""

import os
import sys
import threading
import traceback

_USES = frozenset(
    {
        "open",
        "os.chmod",
        "os.link",
        "os.listdir",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.scandir",
        "os.truncate",
        "os.utime",
        "shutil.copyfile",
        "shutil.move",
        "shutil.rmtree",
        "subprocess.Popen",
        "time.sleep",
    }
)
_busy = threading.local()


def _hook(event, args):
    if event not in _USES or getattr(_busy, "now", False):
        return
    running = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    if running is None or running() is None:
        return
    _busy.now = True
    try:
        if os.path.exists(os.environ["LOOP_WATCH_MARK"]):
            where = "".join(traceback.format_list(traceback.extract_stack()[-9:-1]))
            if "importlib" not in where and "linecache" not in where:
                with open(os.environ["LOOP_WATCH_REPORT"], "a") as report:
                    report.write(f"{event} {args!r:.200}\n{where}\n\n")
    finally:
        _busy.now = False


if "LOOP_WATCH_MARK" in os.environ:
    sys.addaudithook(_hook)
