#!/bin/bash
# ShellCheck finds nothing in any shell script, and every Python script compiles.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need shellcheck
need python3

mapfile -t shells < <({ scripts_for 'ba?sh|dash'; files '\.sh$'; } | sort -u)
shellcheck --external-sources "${shells[@]}" || complain "shellcheck complains"

mapfile -t pythons < <({ scripts_for 'python3'; files '\.py$'; } | sort -u)
for script in "${pythons[@]}"; do
  python3 -c 'import sys; compile(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1], "exec")' "$script" ||
    complain "$script: does not compile"
done
finish "Where shellcheck is wrong, say why beside the directive that silences it."
