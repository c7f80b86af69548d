#!/bin/bash
# A file answers one question: none is longer than 400 lines, unless tests/lint/long-files gives the reason.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

limit=400
list=tests/lint/long-files

while read -r file; do
  lines=$(wc -l < "$file")
  if ((lines > limit)) && ! grep -qE "^$file: .+" "$list"; then
    complain "$file:$limit: $lines lines; split it, or give the reason in $list"
  fi
done < <(files '\.(cpp|hpp)$')

# A reason that is no longer needed goes.
while IFS=: read -r file _; do
  if [[ ! -f $file ]] || (($(wc -l < "$file") <= limit)); then
    complain "$list: '$file' is not longer than $limit lines any more"
  fi
done < <(grep -vE '^(#|$)' "$list" || true)
finish "A file past $limit lines usually answers two questions."
