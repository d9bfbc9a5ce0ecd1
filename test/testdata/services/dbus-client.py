# Usage: dbus-client.py [USER]. Connects to the system bus as its own user and stays, or
# claims to be USER and ends. Prints its unique name, or the error.
import os, pwd, socket, struct, sys

uid = pwd.getpwnam(sys.argv[1]).pw_uid if sys.argv[1:] else os.getuid()
bus = socket.socket(socket.AF_UNIX)
bus.connect("/run/dbus/system_bus_socket")
bus.sendall(b"\0AUTH EXTERNAL %s\r\n" % str(uid).encode().hex().encode())
answer = bus.recv(1000)
if not answer.startswith(b"OK "):
    print(answer.split()[0].decode())
    sys.exit()
bus.sendall(b"BEGIN\r\n")

# A method call, with the fields PATH, DESTINATION, INTERFACE and MEMBER.
fields = b""
for code, kind, value in (1, "o", "/"), (6, "s", "org.freedesktop.DBus"), (2, "s", "org.freedesktop.DBus"), (3, "s", "Hello"):
    fields += b"\0" * (-len(fields) % 8)
    fields += struct.pack("<BB2sI", code, 1, kind.encode(), len(value)) + value.encode() + b"\0"
message = struct.pack("<cBBBIII", b"l", 1, 0, 1, 0, 1, len(fields)) + fields
bus.sendall(message + b"\0" * (-len(message) % 8))
reply = bus.recv(1000)
start = reply.index(b":1.")
print(reply[start:reply.index(b"\0", start)].decode(), flush=True)
if not sys.argv[1:]:
    while bus.recv(1000):
        pass
