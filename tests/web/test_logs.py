from __future__ import annotations

import subprocess
import sys

from web.logs import mask


def test_credentials_are_cut_out() -> None:
    text = "GET /v1/audio/live/ws/live-abcdefgh12345 with sk-AbCdEf_-12345678 from /signin/0123456789abc"
    assert mask(text) == "GET /v1/audio/live/ws/live-... with sk-... from /signin/..."
    assert mask("a live-in nanny, task-force") == "a live-in nanny, task-force"


def test_the_log_of_a_process() -> None:
    """In a process of its own, because logging is set up once for all."""
    script = (
        "import logging, structlog\n"
        "from web.logs import configure\n"
        "configure('info')\n"
        "log = structlog.get_logger('web')\n"
        "log.info('said.hello', path='/v1/live-0123456789', n=3)\n"
        "log.debug('not.shown')\n"
        "logging.getLogger('uvicorn.error').info('GET /live-0123456789')\n"
        "logging.getLogger('other').warning('with %s', 'sk-0123456789')\n"
        "logging.getLogger('other').warning('of %s', 'others\\n00:00:00 [error] fake \\x1b[2J')\n"
        "log.warning('field', name='\\x9b2J\\u202e\\udcff')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('broke', key='sk-0123456789')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout == ""
    assert "said.hello" in done.stderr and "n=3" in done.stderr and "live-..." in done.stderr
    assert "not.shown" not in done.stderr and "0123456789" not in done.stderr
    assert "with sk-..." in done.stderr
    assert "of others\\n00:00:00 [error] fake \\x1b[2J\n" in done.stderr
    assert r"name=\x9b2J\u202e\udcff" in done.stderr
    assert "ZeroDivisionError" in done.stderr and "key=sk-..." in done.stderr
