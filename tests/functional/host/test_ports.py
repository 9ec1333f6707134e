# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import os
import socket

from novadocker.host import ports


def test_who_listens_where():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port in ports.listened_on({os.getpid()})
        assert port not in ports.listened_on({1})
        assert ports.choose({"a": port}, remembered={"a": port}, ours={port}) == {"a": port}
        assert ports.choose({"a": port}, remembered={"a": port})["a"] > port
