# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""In place of oslo.service's launchers: what they would fork a child for runs in the process itself.

Theirs start a master that imports everything, and a child that works; the master starts the child again when
it ends. Here the supervisor does that, and the master's memory is saved. A signal means what it means to
theirs: TERM lets the services finish for `graceful_shutdown_timeout` seconds, HUP reads the configuration
again, INT ends at once. (oslo.service has this for nova-compute alone, as `no_fork`.)
"""

import logging
import os
import queue
import signal
import threading
from types import FrameType
from typing import Any

from oslo_config import cfg
from oslo_service import opts, service
from oslo_service.backend.base import ServiceBase

from novadocker.programs import garbage

LOG = logging.getLogger(__name__)


class OneProcess:
    """A launcher whose services share this process: the stand-in for ServiceLauncher and ProcessLauncher."""

    # What a caller may find on oslo.service's.
    backdoor_port = None

    def __init__(self, conf: cfg.ConfigOpts, restart_method: str = "reload", **_: object) -> None:
        self._conf = conf
        self._restart_method = restart_method
        self._services: list[ServiceBase] = []
        # A handler may run while the main thread waits for the queue: only this kind bears that.
        self._received: queue.SimpleQueue[int] = queue.SimpleQueue()
        opts.register_service_opts(conf)

    def launch_service(self, launched: ServiceBase, workers: int | None = 1) -> None:
        """Have the service started by `wait`, once, however many workers are asked for."""
        if workers not in (None, 1):
            LOG.info("%s: one worker instead of %s", type(launched).__name__, workers)
        self._services.append(launched)

    def wait(self) -> int:
        """Start the services, and stop them when a signal says so. What a start raises ends the process."""
        for heard in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(heard, self._note)
        for each in self._services:
            each.start()
        garbage.settle()
        while (number := self._received.get()) == signal.SIGHUP:
            self._read_again()
        if number == signal.SIGINT:
            os._exit(1)
        LOG.info("Told to end")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._finish_within(self._conf.graceful_shutdown_timeout)
        for each in reversed(self._services):
            each.stop()
        logging.shutdown()
        # Threads of libraries that never end would keep it from ending.
        os._exit(0)

    def stop(self) -> None:
        """As if a signal had asked for the end."""
        self._received.put(signal.SIGTERM)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._received.put(number)

    def _read_again(self) -> None:
        LOG.info("Reading the configuration again")
        if self._restart_method == "mutate":
            self._conf.mutate_config_files()
        else:
            self._conf.reload_config_files()
        for each in self._services:
            each.reset()

    def _finish_within(self, seconds: int) -> None:
        if not seconds:
            return
        late = threading.Timer(seconds, os._exit, args=(1,))
        late.daemon = True
        late.start()


def install() -> None:
    """Give programs that ask oslo.service for a launcher this one; with `no_fork` they have theirs."""
    theirs = service.launch

    def launch(
        conf: cfg.ConfigOpts, launched: ServiceBase, workers: int = 1, no_fork: bool = False, **rest: Any
    ) -> Any:
        if no_fork:
            started = theirs(conf, launched, workers=workers, no_fork=True, **rest)
            garbage.settle()
            return started
        launcher = OneProcess(conf, **rest)
        launcher.launch_service(launched, workers=workers)
        return launcher

    service.launch = launch
    service.ServiceLauncher = service.ProcessLauncher = OneProcess
