"""The control groups this process is in: what a container, or a service manager, lets it have of the machine.

A container mostly sees its own group as the root. A service of systemd (`MemoryMax=`, `CPUQuota=`) sees the whole
tree, and /proc says where in it it is; each group on the way there may have a limit.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["MEMBERSHIP", "ROOT", "groups_of"]

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def groups_of(controller: str, root: Path = ROOT, membership: Path = MEMBERSHIP) -> tuple[Path, ...]:
    """The folders of all groups that may have a limit for us, of cgroup 1 and 2. Blocking, well below a
    millisecond."""
    found = {root: None, root / controller: None}
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            top = root
        elif controller in controllers.split(","):
            top = root / controller
        else:
            continue
        group = Path(path.removeprefix("/"))
        if ".." not in group.parts:  # a group outside of what this container sees
            found |= dict.fromkeys(top / part for part in (group, *group.parents))
    return tuple(folder for folder in found if folder.is_dir())
