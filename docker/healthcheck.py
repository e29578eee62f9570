"""Exit status 0 where the server in this container is ready."""

import os
import sys
import urllib.error
import urllib.request

PORT = os.environ.get("SIAMFC_PORT", "8000")

try:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=2) as answer:
        sys.exit(answer.status != 200)
except (urllib.error.URLError, OSError):
    sys.exit(1)
