"""Python with dbt loaded and the shop's project parsed, once for all runs of these tests: each run is a fork of it.

    warm.py FOLDER PROJECT      listens at FOLDER/socket until standard input ends, then removes FOLDER
    warm.py --run FOLDER ...    hands its standard streams, folder and environment to a fork, and stays until that ends
"""

import array
import json
import os
import shutil
import signal
import socket
import sys

# Environment, folder and streams of a run come in one message.
MESSAGE_BYTES = 1 << 20
STREAMS = 3


def main() -> None:
    if sys.argv[1] == "--run":
        run(sys.argv[2])
    else:
        serve(sys.argv[1], sys.argv[2])


def run(folder: str) -> None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(os.path.join(folder, "socket"))
    about = json.dumps({"folder": os.getcwd(), "environment": dict(os.environ)})
    streams = array.array("i", range(STREAMS))
    connection.sendmsg([about.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    # The streams are the fork's now: the runner waits for their end.
    for stream in (0, 1):
        os.close(stream)
    connection.recv(1)


def serve(folder: str, project: str) -> None:
    import select

    from medallion_dbt import engine, invoke

    # The parsed project does not depend on where the database lies, which dbt asks for anew with each command.
    os.environ["MEDALLION_SCRATCH"] = folder
    engine.CURRENT.work_in(folder, 2**29, 1)
    parsed = invoke.Project(project, lambda progress: None).parse()

    def known(self):
        if self.path != project:
            raise ValueError(f"{self.path} is not the project that was parsed")
        self.manifest = parsed
        return parsed

    invoke.Project.parse = known
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(os.path.join(folder, "socket"))
    listener.listen(16)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([listener, 0], [], [])
        if 0 in readable:
            break
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            begin(connection)
        connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def begin(connection: socket.socket) -> None:
    """Becomes the run's process."""
    import tempfile

    from medallion_dbt import __main__ as runner

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    about, ancillary, _, _ = connection.recvmsg(MESSAGE_BYTES, socket.CMSG_SPACE(STREAMS * 4))
    streams = array.array("i")
    streams.frombytes(ancillary[0][2])
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    about = json.loads(about)
    os.chdir(about["folder"])
    os.environ.clear()
    os.environ.update(about["environment"])
    tempfile.tempdir = None
    # Ends the process itself, when its standard input ends.
    runner.main()


if __name__ == "__main__":
    main()
