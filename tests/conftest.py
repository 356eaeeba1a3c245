import os
import signal

from hypothesis import HealthCheck, settings

from tests.support.tether import tether

tether()

# Tests start hundreds of processes; where the environment forbids to keep what was compiled, each
# would compile all of Kalla anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long an example takes says more about the machine than about the code.
settings.register_profile("kalla", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kalla")

# A shell that starts this in the background (`nohup make test &`) has Ctrl-C and SIGHUP ignored;
# so would be every process that a test starts to interrupt it. A program that is started takes
# the default again where there was a handler, also one that does nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
