# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How often a service's process looks for garbage in cycles.

Python's own measure is for small programs: after every 700 new objects it looks. A request that asks the
database a hundred times makes tens of thousands, none of them in cycles, and a sixth of a service's time went
into looking.
"""

import gc

# Objects made and not freed until the youngest are looked at, and how many such looks until the older ones
# are. Of 20 000 objects a process has some 2 MB.
THRESHOLDS = (20_000, 20, 20)


def settle() -> None:
    """Look more seldom, and never again at what is there now: the modules of a program that is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
