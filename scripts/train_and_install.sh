#!/usr/bin/env bash
# Experiments → data → training → evaluation → export → install: `benlab loop`.
set -euo pipefail
cd "$(dirname "$0")/.."
make -s install
exec .venv/bin/benlab loop "$@"
