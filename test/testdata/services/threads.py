# Threads: the C library changes the ids of all threads at once; the system calls change only
# those of the calling thread.
import ctypes, os, platform, threading

libc = ctypes.CDLL(None, use_errno=True)
setresuid, setresgid, setfsuid = {"x86_64": (117, 119, 122), "aarch64": (147, 149, 151)}[platform.machine()]


def ids():
    return "%s %s" % (os.getresuid(), os.getresgid())


def make(name):
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644))
    st = os.stat(name)
    return "%s %d:%d" % (name, st.st_uid, st.st_gid)


class Thread(threading.Thread):
    """A thread that does one thing after another when told to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.todo, self.turn, self.done = None, threading.Semaphore(0), threading.Semaphore(0)
        self.start()

    def run(self):
        while True:
            self.turn.acquire()
            try:
                self.result = self.todo()
            except OSError as error:
                self.result = error.strerror
            self.done.release()

    def do(self, todo):
        self.todo = todo
        self.turn.release()
        self.done.acquire()
        return self.result


os.mkdir("/tmp/threads")
os.chmod("/tmp/threads", 0o1777)
os.chdir("/tmp/threads")
one, two = Thread(), Thread()

print("raw system calls")
print(one.do(lambda: libc.syscall(setresgid, 33, 33, 33)), one.do(lambda: libc.syscall(setresuid, 33, 33, 33)))
print(two.do(lambda: libc.syscall(setresuid, -1, 1000, -1)))
print("one", one.do(ids))
print("two", two.do(ids))
print("main", ids())
print(one.do(lambda: make("one")), two.do(lambda: make("two")), make("main"))
print("one", one.do(lambda: os.chown("one", 0, 0)))
print("two", two.do(lambda: os.chown("one", 0, 0)))
print("main", os.chown("one", 44, 44))

print("a thread of a thread, a process of a thread")
print("thread", one.do(lambda: Thread().do(ids)))


def child():
    pid = os.fork()
    if pid == 0:
        print("child", ids(), make("child"), flush=True)
        os.execvp("id", ["id"])
    return os.waitpid(pid, 0)[1]


print("status", one.do(child), flush=True)

print("file system ids")
three = Thread()
print(three.do(lambda: libc.syscall(setfsuid, 1000)), three.do(lambda: libc.syscall(setfsuid, -1)))
print(three.do(lambda: make("three")), three.do(ids), make("main3"))
print("back", two.do(lambda: libc.syscall(setresuid, 0, 0, 0)), two.do(ids))

print("the C library")
# In a new process, because the C library aborts if the ids of threads have diverged.
if os.fork() == 0:
    one, two = Thread(), Thread()
    print(os.setresgid(7, 8, 9), os.setresuid(4, 5, 0))
    print("one", one.do(ids), one.do(lambda: make("one-of-all")))
    print(two.do(lambda: os.setresuid(6, 6, 6)))
    print("one", one.do(ids), one.do(lambda: os.setuid(0)))
    print("main", ids(), make("main-of-all"))
    os._exit(0)
print("status", os.wait()[1])
