# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The only speaker of the Open vSwitch database: whose ports are whose, and whether OVN has made them work.

It keeps a live copy of the few columns it needs; waiting is for a change of that copy, not for a clock.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from ovs.db import idl as ovs_idl
from ovsdbapp import exceptions as ovsdb_exceptions
from ovsdbapp.backend.ovs_idl import connection, idlutils, transaction
from ovsdbapp.schema.open_vswitch import impl_idl

from novadocker.virt.docker import names
from novadocker.virt.docker.doors import Chassis, SwitchPort
from novadocker.virt.docker.errors import SwitchUnreachable

# Seconds until a port that os-vif has made must show in our copy.
_APPEARS = 5.0

_COLUMNS = {
    "Open_vSwitch": ("bridges", "external_ids"),
    "Bridge": ("name", "ports", "datapath_type"),
    "Port": ("name", "interfaces"),
    # Not the statistics: they change every five seconds on every port.
    "Interface": ("name", "external_ids", "error", "ofport"),
}


class IdlSwitchDB:
    """The database behind its socket. Connects when first used and reconnects by itself."""

    def __init__(self, *, address: str, timeout: int = 10) -> None:
        self._address = address
        self._timeout = timeout
        self._opening = threading.Lock()
        self._connection: Any = None
        self._api: Any = None
        self._changed: threading.Condition | None = None

    def chassis(self) -> Chassis:
        """Read what the switch tells OVN about itself."""
        with self._rows() as tables:
            ids: dict[str, str] = next((row.external_ids for row in tables["Open_vSwitch"].rows.values()), {})
            return Chassis(
                hostname=ids.get("hostname", ""),
                system_id=ids.get("system-id", ""),
                remote=ids.get("ovn-remote", ""),
                bridge=ids.get("ovn-bridge", ""),
            )

    def port(self, device: str) -> SwitchPort | None:
        """Look at a port by its device name; None when there is none."""
        with self._rows() as tables:
            return next(
                (p for p in map(_port, tables["Interface"].rows.values()) if p.device == device), None
            )

    def owned(self, owner: str) -> list[SwitchPort]:
        """Return the ports with this owner's mark."""
        with self._rows() as tables:
            return [p for p in map(_port, tables["Interface"].rows.values()) if p.owner == owner]

    def mark(self, device: str, *, owner: str) -> None:
        """Write an owner's mark on a port; raises SwitchUnreachable when there is no such port."""
        # os-vif made the port over a connection of its own, which our copy follows by a moment; and a
        # change to a row that is not in the copy is dropped without a word.
        if not self._await(lambda ports: any(port.device == device for port in ports), timeout=_APPEARS):
            raise SwitchUnreachable(f"Open vSwitch has no port {device} to mark.")
        self._do(lambda api: api.db_set("Interface", device, ("external_ids", {names.OWNER_MARK: owner})))

    def remove(self, device: str) -> None:
        """Take a port off its bridge; one that is gone already is fine."""
        self._do(lambda api: api.del_port(device, if_exists=True))

    def wait_installed(self, devices: list[str], *, timeout: float) -> list[str]:
        """Wait until ovn-controller has marked the ports as installed; return the ones it has not."""
        missing = list(devices)

        def installed(ports: list[SwitchPort]) -> bool:
            done = {port.device for port in ports if port.installed}
            missing[:] = [device for device in devices if device not in done]
            return not missing

        self._await(installed, timeout=timeout)
        return missing

    def close(self) -> None:
        """Close the connection."""
        with self._opening:
            if self._connection is not None:
                self._connection.stop(timeout=2)
                self._connection = None

    def _await(self, seen: Callable[[list[SwitchPort]], bool], *, timeout: float) -> bool:
        """Wait for a change of the ports that satisfies `seen`; says whether it came in time."""
        deadline = time.monotonic() + timeout
        with self._rows() as tables:
            while not seen([_port(row) for row in tables["Interface"].rows.values()]):
                left = deadline - time.monotonic()
                if left <= 0 or self._changed is None:
                    return False
                self._changed.wait(left)
        return True

    def _rows(self) -> "_Rows":
        self._open()
        return _Rows(self._connection, self._address)

    def _do(self, command: Any) -> None:
        self._open()
        with _Rows(self._connection, self._address):
            pass  # says so at once when the database is away, instead of after the transaction's timeout
        try:
            command(self._api).execute(check_error=True)
        except (
            ovsdb_exceptions.OvsdbAppException,
            idlutils.RowNotFound,
            RuntimeError,
            TimeoutError,
        ) as error:
            raise SwitchUnreachable(
                "Could not change the Open vSwitch database.", facts=str(error)
            ) from error

    def _open(self) -> None:
        with self._opening:
            if self._connection is not None:
                return
            try:
                helper = idlutils.get_schema_helper(self._address, "Open_vSwitch")
                for table, columns in _COLUMNS.items():
                    helper.register_columns(table, list(columns))
                copy = _Copy(self._address, helper)
                link = connection.Connection(copy, timeout=self._timeout)
                # The connection changes its copy only while it holds this lock, so readers wait on it too.
                copy.changed = self._changed = threading.Condition(link.lock)
                api = _Api(link)
            except Exception as error:
                raise SwitchUnreachable(
                    f"The Open vSwitch database at {self._address} does not answer.",
                    facts=str(error),
                    hint="Is ovsdb-server running, and does [os_vif_ovs] ovsdb_connection name its socket?",
                ) from error
            self._connection, self._api = link, api


class _Copy(ovs_idl.Idl):  # type: ignore[misc]
    changed: threading.Condition | None = None

    def notify(self, event: Any, row: Any, updates: Any = None) -> None:
        if self.changed is not None:
            self.changed.notify_all()


class _Api(impl_idl.OvsdbIdl):  # type: ignore[misc]
    def __init__(self, link: Any) -> None:
        self._link = link
        super().__init__(link)

    # The library keeps the first connection ever made in the class, for every later object of it.
    @property
    def ovsdb_connection(self) -> Any:
        return self._link

    @ovsdb_connection.setter
    def ovsdb_connection(self, link: Any) -> None:
        self._link = link

    # ovs-vsctl's way waits until vswitchd has caught up; a mark is for us alone and needs no waiting.
    def create_transaction(self, check_error: bool = False, log_errors: bool = True, **_: Any) -> Any:
        return transaction.Transaction(
            self, self.ovsdb_connection, self.ovsdb_connection.timeout, check_error, log_errors
        )


class _Rows:
    """The copy's tables, held still; refused while there is no connection."""

    def __init__(self, link: Any, address: str) -> None:
        self._link = link
        self._address = address

    def __enter__(self) -> Any:
        self._link.lock.acquire()
        if not self._link.idl._session.is_connected():
            self._link.lock.release()
            raise SwitchUnreachable(f"The Open vSwitch database at {self._address} does not answer.")
        return self._link.idl.tables

    def __exit__(self, *_: object) -> None:
        self._link.lock.release()


def _port(row: Any) -> SwitchPort:
    ids = row.external_ids
    return SwitchPort(
        device=row.name,
        port_id=ids.get("iface-id", ""),
        server=ids.get("vm-uuid", ""),
        owner=ids.get(names.OWNER_MARK, ""),
        installed=ids.get("ovn-installed") == "true",
        error=row.error[0] if row.error else "",
    )
