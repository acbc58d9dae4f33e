"""A bound on the memory of processes, their part of the kernel's page cache included: a control group of the kernel, version 1 or 2."""
import os
import pathlib
import time


class MemoryGroup:
    """What is started within `with group:`, and all its children, has so many megabytes together.

    Where this user may make no such group, nothing is bounded, and `bounded` says so.
    """

    def __init__(self, name, megabytes):
        self.home, self.folder = None, None
        for mount in (line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()):
            version1 = mount[2] == "cgroup" and "memory" in mount[3].split(",")
            if not version1 and mount[2] != "cgroup2":
                continue
            folder = pathlib.Path(mount[1]) / f"argon-bench-{name}-{os.getpid()}"
            try:
                folder.mkdir()
                (folder / ("memory.limit_in_bytes" if version1 else "memory.max")).write_text(str(megabytes << 20))
            except OSError:  # not ours to make, or a hierarchy without the controller of memory
                if folder.is_dir():
                    folder.rmdir()
                continue
            self.folder, self.home = folder, self._current(pathlib.Path(mount[1]), version1)
            break

    @staticmethod
    def _current(mount, version1):
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if ("memory" in controllers.split(",")) if version1 else controllers == "":
                return mount / path.lstrip("/")
        return mount

    @property
    def bounded(self):
        return self.folder is not None

    def __enter__(self):
        if self.bounded:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def __exit__(self, *_):
        if self.bounded:
            (self.home / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        """Once all that was started in it has ended."""
        for _ in range(100):
            try:
                if self.bounded:
                    self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.1)
