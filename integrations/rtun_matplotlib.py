# SPDX-License-Identifier: MIT
"""Shows matplotlib's figures on your own computer, through rtun.

    export PYTHONPATH=.../integrations MPLBACKEND=module://rtun_matplotlib

plt.show() draws each open figure as a PNG and hands it to `rtun view`. A figure that is shown again takes its own
place, and so does the same figure of the same script when it is run again; a figure with a label
(plt.figure("loss")) is known by it. What fails on the way is a warning, never an error: the script goes on.

RTUN_COMMAND names the program (default: rtun on PATH). Needs matplotlib 3.6 or later and nothing else.
"""

import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import warnings

import matplotlib
from matplotlib._pylab_helpers import Gcf
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

_numbers = itertools.count(1)


def _name(figure):
    """The file's name: the script's, and the figure's label or its number in order of showing."""
    script = os.path.splitext(os.path.basename(getattr(sys.modules["__main__"], "__file__", "") or "python"))[0]
    label = str(figure.get_label() or "")
    if not label:
        if not hasattr(figure, "_rtun_number"):
            figure._rtun_number = next(_numbers)
        label = f"figure{figure._rtun_number}"
    return re.sub(r"[^\w.-]+", "_", f"{script}-{label}")[:100] + ".png"


def _view(figure):
    program = os.environ.get("RTUN_COMMAND") or shutil.which("rtun")
    if not program:
        warnings.warn("rtun is not on PATH, so the figure was not shown", stacklevel=4)
        return
    picture = io.BytesIO()
    # dpi="figure" keeps the size that the script chose.
    figure.savefig(picture, format="png", dpi="figure")
    command = [program, "view", "--quiet", "--name", _name(figure), "-"]
    try:
        outcome = subprocess.run(command, input=picture.getvalue(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except OSError as error:
        warnings.warn(f"the figure was not shown: {error}", stacklevel=4)
        return
    if outcome.returncode != 0:
        reason = outcome.stderr.decode(errors="replace").strip() or f"rtun ended with {outcome.returncode}"
        warnings.warn(f"the figure was not shown: {reason}", stacklevel=4)
        return
    figure._rtun_shown = True
    # Saving a figure counts as changing it.
    figure.stale = False


class FigureManager(FigureManagerBase):
    def show(self):
        _view(self.canvas.figure)

    @classmethod
    def pyplot_show(cls, *, block=None):
        managers = Gcf.get_all_fig_managers()
        for manager in managers:
            figure = manager.canvas.figure
            # Shown by figure.show() and not changed since: it stands there already.
            if figure.stale or not getattr(figure, "_rtun_shown", False):
                manager.show()
        # As if the windows had been closed; in an interactive session they stay open.
        if not matplotlib.is_interactive():
            for manager in managers:
                Gcf.destroy(manager)


class FigureCanvas(FigureCanvasAgg):
    manager_class = FigureManager
