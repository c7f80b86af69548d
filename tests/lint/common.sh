# Sourced by the lints. `bash tests/lint/X.sh [ROOT]` looks at ROOT, or at the tree it stands in: 0 clean, 1 complaints
# (one a line, "file:line: what"), 77 a tool is missing.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C

root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
cd "$root"
complaints=0

complain() {
  echo "$*"
  complaints=$((complaints + 1))
}

# Ends the lint. The argument says what to do about the complaints.
finish() {
  if ((complaints > 0)); then
    echo "$complaints complaint(s). $1" >&2
    exit 1
  fi
  exit 0
}

need() {
  command -v "$1" > /dev/null || { echo "'$1' is not installed: run scripts/setup"; exit 77; }
}

# The files of the project whose path matches the extended regular expression $1: what git knows of, or everything
# outside build/ where there is no repository (an unpacked archive).
files() {
  if [[ -e .git ]]; then
    git -c safe.directory="$root" ls-files --cached
  else
    find . -type f -not -path './build/*' -printf '%P\n'
  fi | sort | grep -E "$1" | while read -r file; do
    if [[ -f $file ]]; then echo "$file"; fi
  done
}

# The files whose first line names the interpreter $1 (an extended regular expression).
scripts_for() {
  local file line
  files . | while read -r file; do
    line=
    read -r line < <(head -c 128 "$file" | tr -d '\0') || true
    if [[ $line =~ ^#!.*/(env\ )?($1)( |$) ]]; then echo "$file"; fi
  done
}
