"""Imported by every Python process whose PYTHONPATH leads here: reports files used on event loops.

Python tells most uses of a file before they happen, and those that it does not are told here. Once
`LOOP_WATCH_MARK` exists, one in a thread that runs an event loop is written to
`LOOP_WATCH_REPORT`, with where it came from.
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
        "fcntl.flock",
        "fcntl.lockf",
        "glob.glob",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "sqlite3.connect",
        "shutil.copyfile",
        "shutil.move",
        "shutil.rmtree",
        "subprocess.Popen",
        "time.sleep",
    }
)
_UNTOLD = (
    "access",
    "fdatasync",
    "fsync",
    "lstat",
    "posix_fallocate",
    "readlink",
    "stat",
    "statvfs",
    "waitpid",
)
"""Functions of `os` that may hang as long as the disk, and of which Python tells nothing."""

_OWN_CODE = ("importlib", "linecache", "inspect.py")
"""Who looks at the files of the program itself, once for each."""

_busy = threading.local()


def _hook(event, args):
    if getattr(_busy, "now", False) or not (event in _USES or event[3:] in _UNTOLD):
        return
    running = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    if running is None or running() is None:
        return
    _busy.now = True
    try:
        if os.path.exists(os.environ["LOOP_WATCH_MARK"]):
            where = "".join(traceback.format_list(traceback.extract_stack()[-9:-1]))
            if not any(own in where for own in _OWN_CODE):
                with open(os.environ["LOOP_WATCH_REPORT"], "a") as report:
                    report.write(f"{event} {args!r:.200}\n{where}\n\n")
    finally:
        _busy.now = False


def _telling(name):
    """Return a function of `os` that tells of its use as Python does of others."""
    function = getattr(os, name)

    def told(*arguments, **options):
        _hook(f"os.{name}", arguments)
        return function(*arguments, **options)

    return told


if "LOOP_WATCH_MARK" in os.environ:
    sys.addaudithook(_hook)
    for _name in _UNTOLD:
        setattr(os, _name, _telling(_name))
