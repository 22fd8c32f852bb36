"""The command `geoops`: fit, validate and test by recipes; the others by functions."""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

FIT_COMMANDS = ("fit", "validate", "test")

#: Commands that call a function with its own options: words of the command, then where the function is.
FUNCTIONS = {
    ("predict",): "geoops.inference:predict",
    ("superres",): "geoops.inference:superres",
    ("simulate",): "geoops.inference:simulate",
    ("rollout",): "geoops.inference:rollout",
    ("animate",): "geoops.inference:animate",
    ("view",): "geoops.viz:view",
    ("data", "make", "unit-cell"): "geoops.data.unit_cell:make",
    ("data", "make", "particles"): "geoops.data.particles:make",
}

USAGE = """usage: geoops COMMAND ...

  fit RECIPE            train; RECIPE is a YAML file or a name such as unit-cell/enf2enf
  validate RECIPE       errors of a checkpoint on the validation files (--ckpt_path best)
  test RECIPE           errors of a checkpoint on the test files
  predict CHECKPOINT MESH... -o OUT
                        add the predicted fields to meshes
  superres CHECKPOINT DATA
                        error against resolution
  simulate SCENE -o OUT
                        move the particles of a scene; SCENE is a YAML file or a name such as jelly
  rollout CHECKPOINT SCENE -o OUT
                        the same with a trained stepper: few particles are simulated, all are placed
  animate TRAJECTORY... -o OUT
                        draw simulations side by side, as .gif, .mp4 or .html
  view FILE --field NAME
                        draw a field
  data make unit-cell ROOT
                        make the unit-cell data set
  data make particles ROOT --material jelly|water|sand|plasticine --dim 2|3
                        simulate motions of particles to learn from

geoops COMMAND --help lists the options of a command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; errors of use are one line on standard error.

    With `GEOOPS_TRACEBACK=1` in the environment errors come with their traceback.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    plain, warnings.formatwarning = warnings.formatwarning, _warning
    try:
        return _dispatch(args)
    except KeyboardInterrupt:
        sys.stderr.write("geoops: interrupted\n")
        return 130
    except BrokenPipeError:
        # The reader of a pipe left; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("GEOOPS_TRACEBACK") == "1":
            traceback.print_exc()
        sys.stderr.write(f"geoops: error: {_words(error)}\n")
        return 1
    finally:
        warnings.formatwarning = plain


def _words(error: Exception) -> str:
    # The text of a KeyError is the repr of its argument.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = " ".join(text.split())
    known = (ValueError, TypeError, KeyError, OSError, ImportError, NotImplementedError, MemoryError, FloatingPointError)
    if isinstance(error, known) and text:
        return text
    return f"{type(error).__name__}: {text} (GEOOPS_TRACEBACK=1 shows where)"


def _warning(message: Warning | str, category: type[Warning], *rest: object, **more: object) -> str:
    return f"geoops: warning: {' '.join(str(message).split())}\n"


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if args else 2
    if args[0] == "--version":
        from geoops import __version__

        sys.stdout.write(f"geoops {__version__}\n")
        return 0
    if args[0] in FIT_COMMANDS:
        from ._fit import run_fit

        return run_fit(args)
    for words, target in FUNCTIONS.items():
        if tuple(args[: len(words)]) == words:
            from ._call import run_function

            return run_function(target, args[len(words) :], prog=f"geoops {' '.join(words)}")
    if args[-1] in ("-h", "--help") and any(words[0] == args[0] for words in FUNCTIONS):
        sys.stdout.write(USAGE)
        return 0
    known = [*FIT_COMMANDS, *(" ".join(words) for words in FUNCTIONS)]
    sys.stderr.write(f"geoops: error: unknown command {' '.join(args[:3])!r}; there are {', '.join(known)}\n")
    return 2
