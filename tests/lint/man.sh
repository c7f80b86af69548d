#!/bin/bash
# Man pages are clean mdoc, and they and --help know the same commands, options and examples. $COLDSPARE is the built
# program; without it only the pages' form is looked at.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need mandoc

mapfile -t pages < <(files '^docs/man/.*\.8$')
if ((${#pages[@]} == 0)); then
  complain "no pages in docs/man"
fi
for page in "${pages[@]}"; do
  mandoc -Tlint -Wwarning "$page" || complain "$page: mandoc complains"
done

# Long options that `coldspare WORDS --help` lists, one a line.
options_in_help() {
  "$COLDSPARE" "$@" --help | sed -nE 's/^  (-[a-zA-Z],)?--([a-z][a-z-]*).*/\2/p' | sort -u
}

# Long options that a page explains: `.It Fl -name` or `.It Fl h , Fl -name`.
options_in_page() {
  sed -nE 's/^\.It (Fl [a-zA-Z] , )?Fl -([a-z][a-z-]*).*/\2/p' "$1" | sort -u
}

commands() {
  "$COLDSPARE" --help | sed -nE '/^Subcommands:/,/^$/s/^  ([a-z][a-z-]*) .*/\1/p' | sort
}

compare() {
  local page=$1 word
  shift
  while read -r word; do
    complain "$page: --$word is not explained"
  done < <(comm -13 <(options_in_page "$page") <(options_in_help "$@"))
  while read -r word; do
    complain "$page: --$word is not an option of 'coldspare $*'"
  done < <(comm -23 <(options_in_page "$page") <(options_in_help "$@"))
}

compare_command() {
  local command=$1 page=docs/man/coldspare-$1.8 word example
  if [[ ! -f $page ]]; then
    complain "$page: there is no such page"
    return
  fi
  compare "$page" "$command"
  # CLI11 writes positionals as "  name TYPE ...": the page calls them by the same name.
  while read -r word; do
    grep -qiE "\bAr $word\b" "$page" || complain "$page: the argument '$word' does not stand in it"
  done < <("$COLDSPARE" "$command" --help | sed -nE '/^Positionals:/,/^$/s/^  ([A-Za-z]+) .*/\1/p')
  example=$("$COLDSPARE" "$command" --help | sed -nE '/^Example:/{n;s/^ +//;p}')
  grep -qF -- "$example" <(mandoc -Tascii -Owidth=200 "$page" | sed 's/.\x08//g') ||
    complain "$page: the example of --help does not stand in it: $example"
  grep -qE "^\.(It )?Xr coldspare-$command 8" docs/man/coldspare.8 ||
    complain "docs/man/coldspare.8: the command '$command' does not stand in it"
}

if [[ -n ${COLDSPARE:-} ]]; then
  compare docs/man/coldspare.8
  while read -r command; do
    compare_command "$command"
  done < <(commands)
  while read -r page; do
    command=${page#docs/man/coldspare-}
    grep -qx "${command%.8}" <(commands) || complain "$page: the program has no such command"
  done < <(files '^docs/man/coldspare-.*\.8$')
fi
finish "Change the page together with the option."
