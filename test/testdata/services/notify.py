# Usage: notify.py receive SOCKET COUNT | send|named|lie SOCKET TEXT. Receives datagrams, and
# prints the ids of their senders; or sends one, without credentials, with its own, or with
# those of user 7001.
import os, socket, struct, sys

action, path, argument = sys.argv[1:]
ucred = struct.Struct("3i")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if action == "receive":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    s.bind(path)
    os.chmod(path, 0o777)
    for _ in range(int(argument)):
        text, control, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(ucred.size))
        print(text.decode(), *ucred.unpack(control[0][2])[1:])
    sys.exit()
control = []
if action != "send":
    uid, gid = (os.getuid(), os.getgid()) if action == "named" else (7001, 7001)
    control = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, ucred.pack(os.getpid(), uid, gid))]
s.sendmsg([argument.encode()], control, 0, path)
