"""Does what walk.js does, in eight threads."""

import concurrent.futures
import os
import tempfile


def show(name):
    st = os.lstat(name)
    return f"{name} {st.st_mode:o} {st.st_uid}:{st.st_gid} {st.st_rdev} {st.st_size}"


def change(file):
    with open(file, "w") as f:
        f.write("12345")
    os.rename(file, file + "-")
    assert os.stat(file + "-").st_size == 5
    os.unlink(file + "-")


names = sorted(os.path.join(d, f) for d, ds, fs in os.walk(".") for f in ds + fs)
now = [show(name) for name in names]
directory = tempfile.mkdtemp()
with concurrent.futures.ThreadPoolExecutor(8) as threads:
    assert list(threads.map(show, names)) == now
    list(threads.map(change, (os.path.join(directory, str(i)) for i in range(len(names)))))
os.rmdir(directory)  # which is empty
print("\n".join(now))
