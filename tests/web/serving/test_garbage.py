"""What sessions leave behind is given back soon, although the server's own objects are not looked through again."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import collections
import web.app, web.serving.foreground as foreground
foreground.keep_what_is_here()

class Left:
    alive = most = 0
    def __init__(self):
        self.itself = self
        Left.alive += 1
        Left.most = max(Left.most, Left.alive)
    def __del__(self):
        Left.alive -= 1

under_way = collections.deque(maxlen=20_000)  # they live so long that they are no young objects when they end
for number in range(500_000):
    under_way.append(Left())
print(Left.most)
"""


def test_objects_that_refer_to_each_other_do_not_pile_up() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=200, check=True)
    assert int(done.stdout) < 120_000
