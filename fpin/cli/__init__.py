"""The command line: arguments in, one flow, a printer. The only place that knows exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from fpin.cli import exits
from fpin.errors import FpinError


def main() -> None:
    """Run fpin with the process's arguments and exit with its code."""
    from fpin.cli.output import prepare

    # Imports make objects by the ten thousand, all of which stay: looking through them for garbage time and
    # again takes a twentieth of a short command.
    gc.set_threshold(100_000, 20, 20)
    prepare()
    # Who is asked to end cleans up and tells what was done, as after Ctrl-C.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _interrupt)
    code = run(sys.argv[1:])
    gc.freeze()  # Python would look through all of them twice more before it ends
    sys.exit(code)


def _interrupt(_signum: int, _frame: FrameType | None) -> None:
    """End orderly at the first signal; at a second one at once, as a kill would."""
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _leave)
    raise KeyboardInterrupt


def _leave(_signum: int, _frame: FrameType | None) -> None:
    os._exit(exits.INTERRUPTED)  # what was written down is on disk


def run(args: Sequence[str]) -> int:
    """Run one command and return its exit code; every failure ends here, in one sentence and a way out."""
    from click.exceptions import Abort, ClickException, NoArgsIsHelpError

    from fpin.cli import deadline
    from fpin.cli.app import app
    from fpin.cli.output import discard, flush, hide, machine_error, mute, print_crash, print_failure
    from fpin.cli.typed_keys import keys_among, settings_in

    as_json = "--json" in args or os.environ.get("FPIN_JSON", "").lower() in (
        "1",
        "true",
        "yes",
        "on",
        "t",
        "y",
    )
    mute(False)
    hide(keys_among([*args, *settings_in(os.environ)]))
    try:
        code = app(list(args), prog_name="fpin", standalone_mode=False)
        flush()
    except FpinError as error:
        code = exits.code_of(error)
        print_failure(error, code, as_json=as_json)
    except NoArgsIsHelpError as error:
        code = exits.USAGE
        error.show(sys.stderr)
    except ClickException as error:
        code = error.exit_code
        usage = FpinError(error.format_message(), hint="see fpin --help, or the command's own --help")
        print_failure(usage, code, as_json=as_json, kind="UsageError")
    except (Abort, KeyboardInterrupt):
        code = exits.INTERRUPTED
    except BrokenPipeError:
        # Who read our output has seen enough; Python would complain once more while closing stdout.
        discard()
        sys.stderr.close()
        return exits.FAILED
    except OSError as error:
        code = exits.FAILED
        print_failure(machine_error(error), code, as_json=as_json)
    except Exception as error:  # noqa: BLE001  (the last resort: also then --json promises an object)
        print_crash()
        code = exits.FAILED
        bug = FpinError(
            f"this is a bug of fpin: {type(error).__name__}: {error}",
            hint="please report it with the lines above; what was done is written down",
        )
        print_failure(bug, code, as_json=as_json, kind="Bug")
    limit = deadline.disarm()
    if code == exits.INTERRUPTED and limit is not None:
        code = exits.TEMPORARY
        late = FpinError(
            f"not done within {limit:g} s; what was done is written down",
            hint="run the same command again to go on, or give it more time",
        )
        print_failure(late, code, as_json=as_json, kind="Timeout")
    if code == exits.INTERRUPTED:
        interrupted = FpinError(
            "interrupted; what was done is written down", hint="run the same command again to go on"
        )
        print_failure(interrupted, code, as_json=as_json, kind="Interrupted")
    return int(code or exits.DONE)
