# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""nova-conductor with our manager in place of its own: `python -m novadocker.conductor --config-file …`."""

import sys

# Before anything else of Nova: it chooses how threads are made.
from nova.cmd import conductor

conductor.service.SERVICE_MANAGERS["nova-conductor"] = "novadocker.conductor.manager.ConductorManager"
sys.argv[0] = "nova-conductor"
sys.exit(conductor.main())
